"""``iron-runtime run``: programs that know nothing of a policy, in processes of their own, and the provider double."""

import json
import os
import pty
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from iron_adapters.supervision import UngovernableError, refuse_ungovernable

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("openai", reason="the programs are on the OpenAI SDK")

EMAIL = "alice@example.com"
IRON_RUNTIME = [sys.executable, "-c", "from iron_adapters.cli import main; main()"]
SDK = """
import os, sys, openai
client = openai.OpenAI(base_url=os.environ["DOUBLE"], api_key="test", max_retries=0)
def say(text, model="gpt-4o-mini"):
    messages = [{"role": "user", "content": text}]
    reply = client.chat.completions.create(model=model, max_tokens=100, messages=messages)
    return reply.choices[0].message.content
"""
PROGRAM = """
import os, sys
try: import httpx2 as http
except ImportError: import httpx as http
def say(text, model="gpt-4o-mini"):
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    reply = http.post(os.environ["DOUBLE"] + "/chat/completions", headers={"authorization": "Bearer x"}, json=body)
    return reply.json()["choices"][0]["message"]["content"]
"""
ASK = f"{PROGRAM}\nprint(say('I am {EMAIL}'))\n"


@pytest.fixture
def script(tmp_path):
    """Return a way to write a program down."""

    def write(code, name="agent.py"):
        path = tmp_path / name
        path.write_text(code, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def policy(double, tmp_path):
    """Return a way to write a policy down, in which the double is a provider."""

    def write(text=""):
        path = tmp_path / "policy.yaml"
        path.write_text(f"upstreams: {{openai: '{double.openai_url}'}}\n{text}", encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def environment(double, policy):
    return {**os.environ, "DOUBLE": double.openai_url, "COLUMNS": "100", "IRON_POLICY": policy()}


@pytest.fixture
def run(environment, tmp_path):
    """Return a way to run a program governed, to its end."""

    def run(*command, options=(), **changes):
        return subprocess.run(  # noqa: S603 - our own command
            [*IRON_RUNTIME, "run", *options, "--", *command],
            env={**environment, **changes},
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    return run


def summary(done):
    return json.loads(done.stderr.splitlines()[-1])


def test_a_program_that_knows_nothing_of_it_is_governed_and_its_output_stays_its_own(run, script, double):
    code = f"{SDK}\nprint(say('I am {EMAIL}'))\nsys.exit(7)"
    done = run(sys.executable, script(code), "--json", "-x", IRON_POLICY="")

    assert done.returncode == 7
    assert done.stdout == f"You said: I am {EMAIL}\n"
    assert EMAIL not in double.requests.last.text
    for shown in ("calls", "tokens", "reported", "1 EMAIL", "nothing"):
        assert shown in done.stderr
    assert EMAIL not in done.stderr


def test_the_summary_for_machines_has_the_same_numbers(run, script):
    done = run(sys.executable, script(ASK), options=["--json"])

    found = summary(done)
    assert (found["exit_code"], found["calls"], found["findings"], found["refusals"]) == (
        0,
        1,
        {"EMAIL": 1},
        {},
    )
    assert found["input_tokens"] > 0
    assert found["cost_usd"] == found["cost_usd_by_basis"]["reported"] > 0


def test_modules_console_scripts_and_programs_below_programs_are_governed(run, script, double, tmp_path):
    script(ASK)
    console = Path(script(f"#!{sys.executable}\nimport agent\n", "console"))
    console.chmod(0o755)
    below = script(
        "import subprocess, sys; subprocess.run([sys.executable, 'agent.py'], check=True)", "below.py"
    )

    for command in (
        [sys.executable, "-m", "agent"],
        [str(console)],
        [sys.executable, below],
        ["sh", "-c", "./console"],
    ):
        double.requests.clear()
        done = run(*command, options=["--json"])
        assert (done.returncode, done.stdout) == (0, f"You said: I am {EMAIL}\n"), command
        assert EMAIL not in double.requests.last.text
        assert summary(done)["calls"] == 1


def test_threads_forked_processes_and_spawned_ones_are_governed_and_counted(run, script, double):
    code = (
        PROGRAM
        + f"""
import multiprocessing, threading
def work(): print(say("I am {EMAIL}"), flush=True)
if __name__ == "__main__":
    makers = [threading.Thread, *(multiprocessing.get_context(how).Process for how in ("fork", "spawn"))]
    for make in makers:
        worker = make(target=work)
        worker.start()
        worker.join()
"""
    )
    done = run(sys.executable, script(code), options=["--json"])

    assert done.stdout == 3 * f"You said: I am {EMAIL}\n", done.stderr
    assert all(EMAIL not in request.text for request in double.requests)
    assert (summary(done)["calls"], summary(done)["findings"]) == (3, {"EMAIL": 3})


def test_the_policy_named_governs_and_its_refusals_are_told(run, script, double, policy):
    policy("access: {models: {allow: ['claude-*']}}")
    code = (
        f"{SDK}\ntry:\n    say('x')\nexcept openai.OpenAIError as error:\n    print(type(error).__name__)\n"
    )

    for chosen in (
        {"options": ["--json", "--policy", "policy.yaml"]},
        {"options": ["--json"], "IRON_POLICY": "policy.yaml"},
    ):
        done = run(sys.executable, script(code), **chosen)
        assert done.stdout == "ModelNotAllowed\n"
        assert summary(done)["refusals"] == {"model_not_allowed": 1}
    assert len(double.requests) == 0


def test_what_the_program_does_with_governance_itself_stays_within_the_run(run, script, double, policy):
    policy("budgets: [{scope: run, limit_usd: 0.00007}]")
    code = f"""{PROGRAM}
import iron_adapters, iron_policy
with iron_adapters.install({{"safety": {{"input": {{"pii": "allow"}}}}}}):
    pass
lax = {{"safety": {{"input": {{"pii": "allow"}}}}, "upstreams": {{"openai": os.environ["DOUBLE"]}}}}
with iron_adapters.protect_agent(policy=lax):
    print(say("I am {EMAIL}"))
with iron_adapters.protect_agent(budget_usd=1):
    try:
        for _ in range(9):
            say("Tell me a story.")
    except iron_policy.BudgetExceeded as refused:
        print(refused.limit_usd)
"""
    done = run(sys.executable, script(code))

    assert done.stdout == f"You said: I am {EMAIL}\n7e-05\n", done.stderr
    assert all(EMAIL not in request.text for request in double.requests)


def test_a_policy_with_faults_starts_nothing(run, script, policy):
    policy("acces: {}\nstate: sqlite:///x.db")

    done = run(sys.executable, script("print('started')"), options=["--policy", "policy.yaml"])

    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'access'?" in done.stderr


def test_a_python_without_iron_adapters_is_refused(run, script, tmp_path):
    venv.create(tmp_path / "bare", symlinks=True)
    bare = tmp_path / "bare" / "bin" / "python"

    done = run(str(bare), script("print('started')"))

    assert (done.returncode, done.stdout) == (78, "")
    assert "iron-adapters is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_that_is_told_to_ignore_its_environment_is_refused(run, script, tmp_path):
    done = run(sys.executable, "-I", script("print('started')"))

    assert (done.returncode, done.stdout) == (2, "")
    assert "with -I" in done.stderr
    script = tmp_path / "script"
    script.write_text(f"#!/usr/bin/env -S {sys.executable} -Es\n")
    script.chmod(0o755)
    for command in (
        ["python3", "-sE", "x"],
        ["python", "-Wd", "-S"],
        ["python", "-X", "dev", "-E", "x"],
        [str(script)],
    ):
        with pytest.raises(UngovernableError):
            refuse_ungovernable(command)
    for command in (
        ["python", "x", "-I"],
        ["python", "-c", "x", "-E"],
        ["python", "-mx", "-S"],
        ["python", "-", "-E"],
    ):
        refuse_ungovernable(command)


def test_a_process_that_is_taken_out_of_the_run_by_half_does_not_start(run, script):
    code = """
import os, subprocess, sys
environment = {name: value for name, value in os.environ.items() if name != "IRON_RUN"}
print(subprocess.run([sys.executable, "-c", "print('started')"], env=environment).returncode)
environment["IRON_RUN"] = "/no/such/folder"
print(subprocess.run([sys.executable, "-c", "print('started')"], env=environment).returncode)
"""
    done = run(sys.executable, script(code))

    assert done.stdout == "78\n78\n"
    assert "IRON_RUN has been taken out" in done.stderr
    assert "the run that it belongs to is over" in done.stderr


def test_arguments_of_the_program_are_not_taken_for_flags_of_python(run, script):
    done = run(sys.executable, "-W", "default", script("import sys; print(sys.argv[1:])"), "-I", "-E")

    assert (done.returncode, done.stdout) == (0, "['-I', '-E']\n")


def test_a_program_in_which_nothing_was_governed_does_not_count_as_a_success(run):
    done = run("true")

    assert done.returncode == 3
    assert "no Python of this program was governed" in done.stderr
    assert run("sh", "-c", "exit 5").returncode == 5
    assert run("no-such-program").returncode == 127


def test_a_sitecustomize_of_the_users_own_still_runs_and_ours_leaves_the_path(run, script, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("customized = True")
    code = (
        "import sys, sitecustomize\nprint(sitecustomize.customized, any('start_hook' in p for p in sys.path))"
    )

    assert run(sys.executable, script(code), PYTHONPATH=str(tmp_path / "own")).stdout == "True False\n"


def test_a_sitecustomize_that_fails_fails_as_without_us(run, script, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import no_such_module")

    done = run(sys.executable, script("print('started')"), PYTHONPATH=str(tmp_path / "own"))

    assert done.stdout == "started\n"
    assert "Error in sitecustomize" in done.stderr


def test_a_process_that_calls_no_model_loads_no_engine(run, script):
    code = "import sys, json; print(sorted({'httpx', 'httpx2', 'iron_policy', 'ssl'} & {*sys.modules}))"

    assert run(sys.executable, script(code)).stdout == "[]\n"


def test_the_folder_of_a_run_is_private_and_gone_afterwards(run, script):
    code = f"""{ASK}
folder = os.environ["IRON_RUN"]
paths = [folder, *(os.path.join(folder, name) for name in os.listdir(folder))]
print(folder, *(oct(os.stat(path).st_mode & 0o777) for path in paths))
"""
    done = run(sys.executable, script(code))

    folder, *modes = done.stdout.splitlines()[-1].split()
    assert set(modes[1:]) == {"0o600"}
    assert modes[0] == "0o700"
    assert not Path(folder).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_whole_group_and_the_end_is_the_programs(number, environment, script, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    below = script(
        f"""
import signal, sys
def leave(number, frame): sys.exit(open({str(fifo)!r}, "w").write("below\\n") and 0)
signal.signal({int(number)}, leave)
open({str(fifo)!r}, "w").write("ready\\n")
while True: signal.pause()
""",
        "below.py",
    )
    code = f"import signal, subprocess, sys\nsignal.signal({int(number)}, signal.SIG_DFL)\n"
    code += f"subprocess.run([sys.executable, {below!r}])\n"
    command = [*IRON_RUNTIME, "run", "--", sys.executable, script(code)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert fifo.read_text() == "ready\n"
        process.send_signal(number)
        assert fifo.read_text() == "below\n"
        _, errors = process.communicate()

    assert process.returncode == -number
    assert "calls" in errors


def test_a_program_that_answers_a_signal_ends_as_it_likes(environment, script, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
    code += f"open({str(fifo)!r}, 'w').write('ready')\nwhile True: signal.pause()\n"
    command = [*IRON_RUNTIME, "run", "--", sys.executable, script(code)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:  # noqa: S603
        fifo.read_text()
        process.terminate()
        process.communicate()

    assert process.returncode == 9


def test_the_terminal_belongs_to_the_program_while_it_runs(environment, script):
    path = script("print('said', input('say: '))\n")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [*IRON_RUNTIME, "run", "--", sys.executable, path], environment)  # noqa: S606
    seen = b""
    while b"say: " not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, b"hello\n")
    while True:
        try:
            seen += os.read(terminal, 1024)
        except OSError:  # the last of it is closed
            break
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert b"said hello" in seen
    assert b"calls" in seen


def test_a_policy_budget_that_several_processes_have_is_told(run, script, policy):
    policy("budgets: [{scope: run, limit_usd: 1}]")
    script(ASK)
    below = script(
        "import subprocess, sys, agent; subprocess.run([sys.executable, 'agent.py'], check=True)", "below.py"
    )

    done = run(sys.executable, below, options=["--policy", "policy.yaml"])

    assert "2 processes made calls, and each had the policy's budgets for itself" in done.stderr
