"""What the demo prints. Readable on 80 columns, in colour or without."""

from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(width=min(Console().width, 80), highlight=False)

MARKS = (
    (r"<[A-Z_]+_[a-z0-9]{8,}>|\[REDACTED_[A-Z_]+\]", "bold green"),
    (r"[\w.]+@[\w.]+\w|\+351[ \d]+\d|4111[ \d]+\d|sk-proj-\w+|\d{3}-\d{2}-\d{4}", "bold red"),
)
BAR = 24


def marked(text):
    """Return *text* with what is personal or secret in one colour, and what stands in for it in another."""
    styled = Text(text)
    for pattern, style in MARKS:
        styled.highlight_regex(pattern, style)
    return styled


def heading(text):
    console.print()
    console.rule(Text(text, "bold"), align="left", style="dim")


def pairs(rows):
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(f"{name:<10}", marked(text))
    console.print(grid)


def money(usd):
    return f"${Decimal(usd):.6f}"


def opening(provider, line):
    console.rule(Text("An existing agent, one line more, one policy", "bold"))
    pairs([("provider", provider), ("policy", "examples/policy.yaml"), ("the line", line)])


def turn(title, rows, note):
    heading(title)
    pairs(rows)
    console.print(f"{'':10} {note}", style="dim")


def tools(received):
    heading("What the tools got: real values only where safety.reveal says so")
    pairs(received)


def refusal(what, denied, requests):
    console.print(Text.assemble(("refused ", "red"), (what, "bold")))
    left = "Nothing was sent." if requests == 0 else "Nothing of the reply was handed on."
    pairs([("", f"{type(denied).__name__}: {denied.reason}"), ("", left)])


def failed(name, error):
    console.print(
        Text(f"{name} cannot be used here ({type(error).__name__}); going on with the next", "yellow")
    )


def bar(number, spent, limit, allowed):
    filled = min(BAR, round(BAR * Decimal(spent) / Decimal(limit)))
    drawn = "█" * filled + "·" * (BAR - filled)
    console.print(f"call {number:>2}  {drawn}  {money(spent)} spent; asked for up to {allowed} tokens")


def stopped(number, denied):
    console.print(Text.assemble(f"call {number:>2}  ", ("refused before it was sent", "bold red")))
    pairs([("", denied.reason)])


def calls(settled):
    heading("Every call, from the record")
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    for name, justify in (
        ("model", "left"),
        ("in", "right"),
        ("out", "right"),
        ("cost", "right"),
        ("basis", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)
    for call in settled[:6]:
        table.add_row(
            call["gen_ai.response.model"],
            str(call["gen_ai.usage.input_tokens"]),
            str(call["gen_ai.usage.output_tokens"]),
            money(Decimal(call["iron.cost_nanodollars"]) / 10**9),
            call["iron.cost_basis"],
        )
    console.print(table)
    dated = f", as of {settled[0]['iron.price_date']}" if settled[0]["iron.price_date"] else ""
    source = f"prices: {settled[0]['iron.price_source']}{dated}"
    console.print(f"and {len(settled) - 6} more; {source}" if len(settled) > 6 else source, style="dim")


def audit(report, forged):
    heading("The record, checked")
    fault = next(chain.fault for chain in forged.chains if chain.fault)
    verdict = "intact" if report.ok else "NOT INTACT"
    pairs([("as written", f"{report.lines} lines, {verdict}"), ("one number changed", f"{fault}")])


def closing(summary):
    heading("Summary")
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.findings.items()))
    pairs(
        [
            ("calls", f"{summary.calls} answered, {summary.refusals} refused"),
            (
                "cost",
                f"{money(summary.cost_usd)} for {summary.input_tokens} tokens in, {summary.output_tokens} out",
            ),
            ("found", found),
        ]
    )
