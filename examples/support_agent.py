"""A customer-support agent, as many teams have one. It knows nothing of any policy."""

from langchain.agents import create_agent
from langchain_core.tools import tool

ORDERS = {"1042": "shipped on Monday with DHL, arrives on Thursday"}
OUTBOX = []
LOOKUPS = []


@tool
def find_order(order_id: str, customer: str) -> str:
    """Return the state of an order of a customer, who is named by e-mail address."""
    LOOKUPS.append(customer)
    return f"Order {order_id} of {customer}: {ORDERS.get(order_id, 'unknown')}"


@tool
def send_email(to: str, subject: str, body: str) -> str:
    """Send an e-mail to a customer."""
    OUTBOX.append({"to": to, "subject": subject, "body": body})
    return f"sent to {to}"


@tool
def shell_run(command: str) -> str:
    """Run a command on the server."""
    return f"ran {command}"


TOOLS = [find_order, send_email]


def build_agent(model, tools=TOOLS):
    """Return the agent: a model, its tools and what it is told to be."""
    return create_agent(model, tools=list(tools), system_prompt="You help customers of a web shop. Be brief.")
