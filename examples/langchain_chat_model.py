"""A chat model of LangChain that holds its calls to a policy: OPENAI_API_KEY=... python examples/langchain_chat_model.py"""

from pathlib import Path

from langchain_core.prompts import ChatPromptTemplate

from iron_adapters.langchain import IronChatModel

QUESTION = "Write one friendly line to ana.silva@example.com about her order."


def main():
    model = IronChatModel(
        model="gpt-4o-mini", temperature=0, policy=Path(__file__).with_name("policy.yaml")
    )  # where ChatOpenAI(model="gpt-4o-mini", temperature=0) stood
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")]) | model

    print(chain.invoke({"question": QUESTION}).text)
    for chunk in chain.stream({"question": QUESTION}):
        print(chunk.text, end="")
    print()


if __name__ == "__main__":
    main()
