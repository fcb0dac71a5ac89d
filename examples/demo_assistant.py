"""What the provider double says in the demo: an assistant that knows only what it was sent."""

import json
import re

from iron_adapters.testing import Reply, ToolUse

ADDRESS = re.compile(r"<EMAIL_\w+>|[\w.]+@[\w.]+\w")
TERMS = (
    "We deliver on working days, within three days of your order, to every address in the country. Parcels that do "
    "not fit a letter box are handed over in person, or left with a neighbour who agrees. You may send back whatever "
    "you do not like within thirty days, and we pay for the way back."
)


def assistant(asked):
    """Answer as a support agent's model would: with calls of its tools, then with what they said."""
    found = ADDRESS.search(json.dumps(asked.body["messages"], ensure_ascii=False))
    address = found[0] if found else "you"
    if asked.tool_results:
        return answer(asked.tool_results[-1], address)
    if "order 1042" in asked.user_text:
        return Reply(tool_calls=(ToolUse("find_order", {"order_id": "1042", "customer": address}),))
    if "e-mail me" in asked.user_text:
        letter = {"to": address, "subject": "Order 1042", "body": "It arrives on Thursday."}
        return Reply(tool_calls=(ToolUse("send_email", letter),))
    if "clean up" in asked.user_text:
        return Reply(tool_calls=(ToolUse("shell_run", {"command": "rm -rf /srv"}),))
    return TERMS


def answer(result, address):
    if result.startswith("Order"):
        return f"Your order 1042 has shipped and arrives on Thursday. I will keep {address} informed."
    return f"Done: I have written to {address}."
