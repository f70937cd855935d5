"""The benchmark command as a person meets it: what it prints, writes and returns."""

import json
import os
import signal
import subprocess
import sys

import pytest

from bench import benchmark, choices, machine
from bench.__main__ import main
from bench.processes import ROOT
from bench.results import save
from tests.bench.figures import run as a_run
from tests.commands import runner
from xpmlp.errors import InputError

TINY = ("--case", "64/100", "--rows", "150", "--rounds", "2", "--threads", "1")
GOOD = ("--only", "xpmlp", "peer", "floor")
WRITTEN = {"results.json", "report.md", "epochs-cpu.png"}


@pytest.fixture(autouse=True)
def no_gpu(fakes, monkeypatch, tmp_path):
    monkeypatch.setattr(choices, "shown_gpus", lambda: 0)
    monkeypatch.chdir(tmp_path)


run = runner(main)


def files_of(folder):
    return {path.name for path in folder.iterdir()}


def test_a_run_prints_its_table_and_writes_its_folder(capsys, tmp_path):
    code, out, err = run(capsys, *TINY, *GOOD, "--out", "new")
    assert (code, err) == (0, "")
    assert "150 rows of random data shaped as MNIST" in out
    assert "xpmlp fake" in out
    assert out.endswith("results in new\n")
    assert files_of(tmp_path / "new") == WRITTEN
    figures = json.loads((tmp_path / "new" / "results.json").read_text())
    (case,) = figures["cases"]
    assert (case["case"], case["rows"], figures["rounds"]) == ("64/100", 150, 2)
    assert [entry["name"] for entry in case["entries"]] == ["xpmlp fake", "peer", "floor"]
    assert all(len(entry["epoch_seconds"]) == 2 for entry in case["entries"])
    assert figures["environment"]["OMP_NUM_THREADS"] == "1"


def test_without_out_the_folder_is_named_by_the_time(capsys, tmp_path):
    code, out, _ = run(capsys, *TINY, *GOOD)
    (folder,) = (tmp_path / "bench" / "results").iterdir()
    assert code == 0
    assert files_of(folder) == WRITTEN
    assert f"results in bench/results/{folder.name}" in out


def test_a_row_that_cant_run_says_why_and_is_no_failure(capsys, tmp_path):
    code, out, err = run(capsys, *TINY, "--only", "peer", "absent", "--out", "new")
    assert (code, err) == (0, "")
    assert "absent: unavailable: no such library; install it" in out


def test_failures_and_other_losses_end_with_1(capsys, tmp_path):
    code, out, err = run(capsys, *TINY, *GOOD, "elsewhere", "breaks", "--out", "new")
    assert code == 1
    assert err == (
        "python -m bench: failed or ended at another loss: 64/100 elsewhere, 64/100 breaks\n"
    )
    assert "breaks: failed: ValueError: a bad epoch" in out


def test_json_has_stdout_for_itself(capsys):
    code, out, err = run(capsys, *TINY, *GOOD, "--out", "new", "--json")
    assert code == 0
    assert json.loads(out)["cases"][0]["case"] == "64/100"
    assert "s/epoch" in err
    code, out, err = run(capsys, *TINY, *GOOD, "--out", "newer", "--quiet")
    assert (code, out, err) == (0, "", "")


def test_a_gpu_that_is_not_there_is_never_replaced(capsys):
    code, out, _ = run(capsys, *TINY, "--only", "xpmlp", "--device", "cuda", "--out", "new")
    assert code == 0
    assert "xpmlp fake, cuda" in out


def test_a_gpu_that_is_there_gets_rows_of_its_own(monkeypatch):
    monkeypatch.setattr(choices, "shown_gpus", lambda: 1)
    rows = choices.chosen_rows("auto", ["xpmlp", "on a gpu"])
    assert rows == [("xpmlp fake", "cpu"), ("xpmlp fake", "cuda"), ("on a GPU", "cuda")]


def test_kernels_are_checked_side_by_side(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "cpu_features", lambda: machine.AVX512)
    code, _, _ = run(capsys, *TINY, *GOOD, "--out", "new", "--kernel-check")
    figures = json.loads((tmp_path / "new" / "results.json").read_text())
    assert code == 0
    assert [case["kernels"] for case in figures["cases"]] == ["as found", "SkylakeX"]


def test_all_setups_have_as_many_busy_processes(monkeypatch):
    monkeypatch.setattr(machine, "cpu_features", lambda: machine.AVX512)
    setups = choices.chosen_setups(_parsed("--kernel-check", "--busy", "3", "--threads", "1"))
    assert [s.busy for s in setups] == [3, 3]
    assert [s.kernels for s in setups] == [None, choices.AVX512_KERNELS]


def test_a_sweep_is_a_case_per_value(capsys, tmp_path):
    arguments = ("--sweep", "depth", "--rows", "40", "--rounds", "1", "--threads", "1")
    code, out, _ = run(capsys, *arguments, "--only", "xpmlp", "--out", "new")
    assert code == 0
    assert out.count("40 rows of random data") == 6
    assert files_of(tmp_path / "new") == WRITTEN


def test_quick_is_one_case_of_fewer_rows():
    arguments = _parsed("--quick", "--optimizer", "adam", "--activation", "sigmoid")
    (case,) = choices.chosen_cases(arguments)
    assert (case.name, case.rows) == ("300/128", choices.QUICK_ROWS)
    assert (case.optimizer, case.learning_rate, case.activation) == ("adam", 0.001, "sigmoid")
    full = choices.chosen_cases(_parsed("--quick", "--case", "1000/10000"))
    assert [case.rows for case in full] == [10_000]


def test_a_case_for_gpus_is_measured_there_or_where_it_is_named():
    large = "4096-4096/8192"
    for arguments, there in (
        ((), False),
        (("--device", "cpu"), False),
        (("--device", "cuda"), True),
        (("--device", "cpu", "--case", large), True),
    ):
        names = [case.name for case in choices.chosen_cases(_parsed(*arguments))]
        assert (large in names) == there


def test_flags_bring_their_rows():
    def names(*flags):
        return [row.name for row in choices.chosen_rows("cpu", ["peer"], flags)]

    assert names() == ["peer"]
    assert names("tf32") == ["peer", "peer tf32"]
    assert names("tf32", "variants") == ["peer", "peer tf32", "peer full"]
    with pytest.raises(InputError, match="none of these rows runs on cpu"):
        choices.chosen_rows("cpu", ["peer tf32"])


def test_rows_of_tf32_are_compared_with_each_other(capsys, tmp_path):
    code, _, _ = run(capsys, *TINY, "--only", "xpmlp", "peer", "--tf32", "--out", "new")
    assert code == 0
    (case,) = json.loads((tmp_path / "new" / "results.json").read_text())["cases"]
    own, peer, tf32 = case["entries"]
    assert (peer["is_fastest_peer"], tf32["is_fastest_peer"]) == (True, True)
    assert list(own["speed_up"]) == ["peer"]
    assert tf32["to_fastest_peer"]["median"] == 1.0


def test_without_pictures_the_page_is_there_all_the_same(capsys, tmp_path):
    assert run(capsys, *TINY, *GOOD, "--no-plots", "--out", "new")[0] == 0
    assert files_of(tmp_path / "new") == WRITTEN - {"epochs-cpu.png"}
    assert "xpmlp fake" in (tmp_path / "new" / "report.md").read_text()


def test_several_activations_and_optimizers_are_all_combined():
    more = ("--activation", "relu", "sigmoid", "--optimizer", "sgd", "adam", "--case", "64/100")
    cases = choices.chosen_cases(_parsed(*more))
    kinds = [(case.activation, case.optimizer, case.learning_rate) for case in cases]
    assert kinds == [
        ("relu", "sgd", 0.1),
        ("relu", "adam", 0.001),
        ("sigmoid", "sgd", 0.1),
        ("sigmoid", "adam", 0.001),
    ]
    with pytest.raises(InputError, match="takes one activation and one optimizer"):
        choices.chosen_cases(_parsed("--sweep", "rows", "--optimizer", "sgd", "adam"))


def _parsed(*arguments):
    from bench.__main__ import make_parser

    return make_parser().parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--case", "300/129"), "unknown case '300/129' (did you mean '300/128'?)"),
        (("--sweep", "wdith"), "unknown sweep 'wdith' (did you mean 'width'?)"),
        (("--sweep", "width", "--case", "300/128"), "give --case or --sweep, not both"),
        (("--only", "nobody"), "unknown row 'nobody'"),
        (("--only", "on a GPU", "--device", "cpu"), "none of these rows runs on cpu"),
        (("--threads", "0"), "--threads 0: this process may use 1 to"),
        (("--threads", "99999"), "--threads 99999: this process may use 1 to"),
        (("--rounds", "0"), "argument --rounds: 0 is less than 1"),
        (("--rows", "x"), "argument --rows: invalid number value: 'x'"),
        (("--busy", "-1"), "argument --busy: -1 is less than 0"),
        (("--busy", "two"), "argument --busy: invalid number value: 'two'"),
        (("--device", "tpu"), "argument --device: invalid choice"),
        (("--optimizer", "adamw"), "argument --optimizer: invalid choice"),
        (("--out", ""), "argument --out: the path is empty"),
        (("compare", "a.json"), "the following arguments are required: B"),
        (("compare", "a.json", "b.json"), "can't read a.json: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_2(capsys, tmp_path, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_not_there_is_refused(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XPMLP_DATA_DIR", "nowhere")
    code, out, err = run(capsys, *TINY, *GOOD, "--out", "new")
    assert (code, out) == (2, "")
    assert err == "python -m bench: XPMLP_DATA_DIR: there is no folder nowhere\n"
    assert list(tmp_path.iterdir()) == []


def test_no_avx512_no_kernel_check(capsys, monkeypatch):
    monkeypatch.setattr(machine, "cpu_features", lambda: ["avx2"])
    code, _, err = run(capsys, "--kernel-check")
    assert code == 2
    assert "need a processor with AVX-512" in err


def test_results_that_exist_are_kept(capsys, tmp_path):
    assert run(capsys, *TINY, *GOOD, "--out", "new")[0] == 0
    before = (tmp_path / "new" / "results.json").read_bytes()
    code, _, err = run(capsys, *TINY, *GOOD, "--out", "new")
    assert code == 2
    assert "new/results.json exists already; choose another --out" in err
    assert (tmp_path / "new" / "results.json").read_bytes() == before


def test_two_runs_are_compared(capsys, tmp_path):
    save(a_run(), tmp_path)
    code, out, err = run(capsys, "compare", tmp_path, tmp_path / "results.json")
    assert (code, err) == (0, "")
    assert out.startswith("the same machine, software and settings\n")


def test_a_picture_that_fails_costs_a_warning(capsys, monkeypatch, tmp_path):
    def broken(figures, folder):
        raise ValueError("no ink")

    monkeypatch.setattr("bench.plots.write_pictures", broken)
    code, _, err = run(capsys, *TINY, *GOOD, "--out", "new")
    assert code == 0
    assert err == "warning: the pictures could not be drawn: ValueError: no ink\n"
    assert files_of(tmp_path / "new") == WRITTEN - {"epochs-cpu.png"}


def test_ctrl_c_saves_what_was_measured(capsys, monkeypatch, tmp_path):
    class Interrupted(benchmark.Measurement):
        def _finish(self, row):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(benchmark, "Measurement", Interrupted)
    code, out, err = run(capsys, *TINY, *GOOD, "--out", "new")
    assert code == 130
    assert err.endswith("python -m bench: interrupted; what was measured is in new\n")
    assert files_of(tmp_path / "new") == WRITTEN
    figures = json.loads((tmp_path / "new" / "results.json").read_text())
    assert figures["interrupted"]
    assert len(figures["cases"][0]["entries"][0]["epoch_seconds"]) == 2
    assert "xpmlp fake" in out


def test_a_stop_while_rows_are_prepared_keeps_their_first_epochs(capsys, monkeypatch, tmp_path):
    class Interrupted(benchmark.Measurement):
        def _prepare(self, row):
            super()._prepare(row)
            if row.name == "peer":
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(benchmark, "Measurement", Interrupted)
    code, out, _ = run(capsys, *TINY, *GOOD, "--no-plots", "--out", "new")
    assert code == 130
    (case,) = json.loads((tmp_path / "new" / "results.json").read_text())["cases"]
    assert [len(entry["first_epochs"]) for entry in case["entries"]] == [2, 2, 0]
    assert [entry["seconds"] for entry in case["entries"]] == [None] * 3
    assert "xpmlp fake: stopped: the rounds are missing; first epochs: " in out
    assert "floor: stopped: before it was prepared" in out


ABSENT = ("pooch", "requests", "sklearn", "matplotlib", "pytest", "hypothesis")


def test_a_gpu_check_gets_by_without_what_its_script_does_not_ask_for(tmp_path):
    """The script asks for NumPy and a few more; no picture, download or toy data is made."""
    for name in ABSENT:
        text = f"raise ModuleNotFoundError('no {name}', name='{name}')"
        (tmp_path / f"{name}.py").write_text(text)
    variables = {"PYTHONPATH": str(tmp_path), "XPMLP_DATA_DIR": str(tmp_path)}
    words = ("--only", "xpmlp numpy", "floor", "--device", "cpu", "--no-plots", "--out")
    for program in (
        ("-m", "bench", *TINY, *words, str(tmp_path / "new")),
        ("-c", "import bench.gpu.check, bench.gpu.profile"),
    ):
        done = subprocess.run(
            [sys.executable, *program],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "150 rows of random data" in (tmp_path / "new" / "report.md").read_text()


def test_help_needs_no_array_library():
    code = (
        "import sys; from bench.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('numpy' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "False\n")
    assert "python -m bench compare A.json B.json" in done.stdout
