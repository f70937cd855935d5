import json

import pytest
from matplotlib.image import imread

from bench.cases import CASES
from bench.compare import compare, verdict
from bench.plots import ranked, write_pictures
from bench.report import BAR_WIDTH, bar, case_text, header, markdown, summary
from bench.results import RESULTS, load, make_folder, role_of, save
from tests.bench.figures import FLOOR, case, entry, row, rows, run
from xpmlp.errors import InputError


def test_a_name_tells_the_role():
    names = ("xpmlp numpy", "floor", "PyTorch eager", "floor tf32")
    assert [role_of(name) for name in names] == ["xpmlp", "floor", "peer", "floor"]


def test_ratios_are_to_the_floor_and_to_the_fastest_peer():
    own = entry(case(), "xpmlp numpy")
    assert own["seconds"] == {"low": 2.0, "median": 2.0, "high": 3.0}
    assert own["to_floor"] == {"low": 2.0, "median": 2.0, "high": 2.0}
    assert own["to_fastest_peer"]["median"] == pytest.approx(2 / 3)
    assert {name: s["median"] for name, s in own["speed_up"].items()} == {
        "PyTorch eager": 2.0,
        "JAX scan": 1.5,
    }
    starred = [e["name"] for e in case()["entries"] if e["is_fastest_peer"]]
    assert starred == ["JAX scan"]


def test_rates_follow_from_the_median():
    own = entry(case(), "xpmlp numpy")
    assert own["images_per_second"] == 60_000 / 2.0
    assert own["gflops"] == pytest.approx(CASES["300/128"].operations / 2.0 / 1e9)


def test_rows_without_a_valid_time_count_for_nothing():
    figures = case()
    for name in ("absent", "wrong"):
        left_out = entry(figures, name)
        assert left_out["seconds"] is None
        assert left_out["to_floor"] is None
        assert left_out["speed_up"] == {}
    assert entry(figures, "wrong")["epoch_seconds"] == [0.1, 0.1, 0.1]


def test_devices_are_compared_within_themselves():
    gpu = [row("xpmlp torch", [0.4], "cuda"), row("floor", [0.1], "cuda", loss=None)]
    figures = case(made=[row("peer", [2.0]), row("floor", [1.0], loss=None), *gpu])
    assert entry(figures, "xpmlp torch", "cuda")["to_floor"]["median"] == pytest.approx(4.0)
    assert entry(figures, "xpmlp torch", "cuda")["to_fastest_peer"] is None
    assert "xpmlp torch, cuda" in case_text(figures)


def on_gpu():
    """A GPU's rows: eager's two first epochs take 5 s, then 4 s each; ours 11 s, then 1 s."""
    return [
        row("xpmlp cupy", [1.0, 1.0], "cuda", first_epochs=[10.0, 1.0]),
        row("slow", [4.5, 4.5], "cuda", first_epochs=[6.0, 4.5]),
        row("PyTorch eager", [4.0, 4.0], "cuda", first_epochs=[4.5, 0.5]),
        row("floor", [0.5, 0.5], "cuda", loss=None),
    ]


def test_a_start_is_repaid_by_faster_epochs():
    # After three epochs 12 s against 9 s, after four 13 s against 13 s, after five 14 to 17.
    figures = case(made=on_gpu())
    start = {e["name"]: e["start"] for e in figures["entries"]}
    assert start["xpmlp cupy"] == {"extra_seconds": 9.0, "ahead_of_eager_after": 5}
    assert start["slow"] == {"extra_seconds": 1.5, "ahead_of_eager_after": None}
    assert start["PyTorch eager"] == {"extra_seconds": 0.5, "ahead_of_eager_after": None}
    assert entry(figures, "xpmlp cupy", "cuda")["warm_up_seconds"] == 11.0


def test_the_table_of_starts_is_that_of_a_gpu():
    lines = case_text(case(made=on_gpu())).splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith("start ")]
    assert [line.split("  ")[0] for line in lines[at + 1 : at + 5]] == [
        "xpmlp cupy, cuda",
        "slow, cuda",
        "PyTorch eager, cuda",
        "floor, cuda",
    ]
    assert lines[at + 1].split()[-6:] == ["10.000", "9.000", "5", "epochs", "50", "%"]
    assert lines[at + 2].split()[-6:] == ["1.500", "never", "in", "100", "11", "%"]
    assert lines[at + 3].split()[-4:] == ["0.500", "–", "12", "%"]
    assert not any(line.startswith("start ") for line in case_text(case()).splitlines())


def test_results_without_starts_are_shown_as_before():
    old = case(made=on_gpu())
    for one in old["entries"]:
        del one["start"], one["first_epochs"]
    assert "xpmlp cupy, cuda" in case_text(old)
    assert "start " not in case_text(old)


def test_tf32_is_compared_with_tf32():
    tf32 = [
        row("xpmlp cupy tf32", [0.5, 0.5], "cuda", loss=0.3),
        row("graph tf32", [0.25, 0.25], "cuda", loss=0.3),
        row("floor tf32", [0.1, 0.1], "cuda", loss=None),
    ]
    figures = case(made=[*on_gpu(), *tf32])
    own = entry(figures, "xpmlp cupy tf32", "cuda")
    assert own["to_floor"]["median"] == 5.0
    assert list(own["speed_up"]) == ["graph tf32"]
    assert entry(figures, "graph tf32", "cuda")["is_fastest_peer"]
    assert entry(figures, "PyTorch eager", "cuda")["is_fastest_peer"]
    assert entry(figures, "xpmlp cupy", "cuda")["to_floor"]["median"] == 2.0


def test_the_floor_is_never_the_fastest_in_bold():
    line = summary(run(case(made=on_gpu()))).splitlines()[-1]
    assert line == "| 300/128, relu, sgd | **1.00** | 4.50 | 4.00 | 0.500 |"


def test_figures_survive_being_saved(tmp_path):
    broken = row("xpmlp numpy", [1.0], loss=float("nan"), status="invalid", reason="nan")
    figures = run(case(made=[broken]), case())
    save(figures, tmp_path)
    assert load(tmp_path) == load(tmp_path / RESULTS) == json.loads(json.dumps(figures))
    assert entry(figures["cases"][0], "xpmlp numpy")["loss"] is None


def test_results_are_never_overwritten(tmp_path):
    folder = make_folder(tmp_path / "new" / "folder")
    with pytest.raises(InputError, match=r"results.json exists already; choose another --out"):
        make_folder(folder)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another --out"):
        make_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "can't read"), ("{", "is not JSON"), ("[]", "no results"), ("{}", "no results")],
)
def test_other_files_are_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "a.json")


def test_the_header_names_machine_and_settings():
    lines = header(run()).splitlines()
    assert lines[0] == "machine    a processor, 2 processors, 8 GiB of memory"
    assert "GPU        none" in lines
    assert "libraries  xpmlp 1, numpy 2" in lines
    assert "variables  OMP_NUM_THREADS=2" in lines


def test_the_table_of_a_case():
    lines = case_text(case()).splitlines()
    assert lines[0] == (
        "300/128: relu, sgd at rate 0.1, 60,000 rows of MNIST, "
        "OpenBLAS 0.3 with Haswell kernels (as found)"
    )
    own, eager, scan = (line.split() for line in lines[3:6])
    assert [*own[:2], *own[3:]] == [
        *("xpmlp", "numpy", "2.0000", "2.0000–3.0000", "2.00", "0.67"),
        *("30,000", "29", "3", "0.50", "3.00"),
    ]
    assert (eager[6], scan[6]) == ("1.33", "1.00*")
    table = lines.index("times as fast as  PyTorch eager  JAX scan")
    assert lines[table + 1].split() == ["xpmlp", "numpy", "2.00", "1.50"]
    assert lines[-2:] == [
        "absent: unavailable: no such library",
        "wrong: invalid: its loss ended at 2",
    ]


def test_a_case_without_a_time_says_why():
    text = case_text(case(made=rows()[4:]))
    assert "s/epoch" not in text
    assert text.endswith("wrong: invalid: its loss ended at 2")


def test_kernels_that_were_set_are_not_called_found():
    assert case_text(case(kernels="Haswell")).splitlines()[0].endswith("with Haswell kernels")


def test_bars_grow_by_eighths():
    assert bar(1.0) == "█" * BAR_WIDTH
    assert bar(0.5).strip() == "█" * (BAR_WIDTH // 2)
    assert bar(1 / 8 / BAR_WIDTH).strip() == "▏"
    assert bar(0.0).strip() == "▏"
    assert {len(bar(i / 100)) for i in range(101)} == {BAR_WIDTH}


def test_the_summary_has_a_line_per_case_and_the_fastest_in_bold():
    slow = row("xpmlp numpy", [9.0, 9.0, 9.0])
    figures = run(case(), case("64/100", made=[slow, row("floor", FLOOR, loss=None)]))
    assert summary(figures).splitlines() == [
        "| case | xpmlp numpy | PyTorch eager | JAX scan | floor |",
        "| --- | --- | --- | --- | --- |",
        "| 300/128, relu, sgd | **2.00** | 4.00 | 3.00 | 1.00 |",
        "| 64/100, relu, sgd | **9.00** | – | – | 1.00 |",
    ]
    both = summary(run(case(kernels="Haswell"), case(kernels="SkylakeX")))
    assert "300/128, relu, sgd, OpenBLAS 0.3 with Haswell kernels" in both


def test_the_page_holds_the_tables_and_the_pictures(tmp_path):
    page = markdown(run(), [tmp_path / "epochs-cpu.png"])
    assert "![epochs-cpu](epochs-cpu.png)" in page
    assert case_text(case()) in page
    assert summary(run()) in page


def test_pictures_per_device_and_kernels(tmp_path):
    gpu = [row("xpmlp torch", [0.4, 0.5], "cuda"), row("floor", [0.1, 0.1], "cuda", loss=None)]
    on_both = case(made=[*rows(), *gpu])
    figures = run(case("64/100"), on_both, case("1000/10000", kernels="SkylakeX"))
    names = {path.name for path in write_pictures(figures, tmp_path)}
    assert names == {
        "epochs-cpu-as-found.png",
        "epochs-cuda-as-found.png",
        "epochs-cpu-SkylakeX.png",
    }
    for name in names:
        assert imread(tmp_path / name).std() > 0


def test_a_sweep_is_drawn_over_what_grows(tmp_path):
    figures = run(case("64/100"), case("300/128"), case("1024/256"), sweep="width")
    (path,) = write_pictures(figures, tmp_path)
    assert path.name == "epochs-cpu.png"


def test_nothing_that_was_timed_is_nothing_to_draw(tmp_path):
    assert write_pictures(run(case(made=rows()[4:])), tmp_path) == []


def test_rows_are_ranked_over_all_cases():
    # Over their cases' geometric means: 2/∛24 and 1/3 for ours, 3/∛24, 4/∛24, and 9/3 for b.
    made = rows()[:4], [row("b", [9.0]), row("xpmlp numpy", [1.0])]
    cases = [case(made=one) for one in made]
    assert ranked(cases) == ["xpmlp numpy", "JAX scan", "PyTorch eager", "b"]


def test_a_comparison_of_a_run_with_itself():
    text = compare(run(), run())
    assert text.startswith("the same machine, software and settings\n")
    assert "faster" not in text.split("B ÷ A: median")[0]
    assert "1.00" in text


def test_a_comparison_names_what_differs():
    slower = [row("xpmlp numpy", [6.0, 6.0, 7.0]), row("floor", [1.0, 1.0, 1.0], loss=None)]
    other = run(case(made=slower), case("64/100"))
    other["machine"]["libraries"]["numpy"] = "3"
    lines = compare(run(), other).splitlines()
    assert lines[0] == "numpy: A 2, B 3"
    (own,) = [line.split() for line in lines if line.startswith("xpmlp numpy")]
    assert own == ["xpmlp", "numpy", "2.0000", "6.0000", "3.00", "2.00", "6.00", "slower"]
    assert "only in A: JAX scan" in lines
    assert any(line.startswith("only in B: 64/100") for line in lines)


def test_runs_beside_other_numbers_of_busy_processes_are_not_compared():
    lines = compare(run(), run(busy=2)).splitlines()
    assert lines[0] == "busy processes: A 0, B 2"
    assert not any(line.startswith("xpmlp numpy") for line in lines)
    assert sum(line.startswith("only in ") for line in lines) == 2
    assert any("rows of MNIST, beside 2 busy processes, kernels" in line for line in lines)
    old = run()
    del old["busy"], old["cases"][0]["busy"]
    assert compare(old, run()).startswith("the same machine, software and settings\n")


def test_a_verdict_needs_quartiles_apart():
    def spread(low, high):
        return {"low": low, "median": (low + high) / 2, "high": high}

    assert verdict(spread(2, 3), spread(1, 1.9)) == "faster"
    assert verdict(spread(2, 3), spread(3.1, 4)) == "slower"
    assert verdict(spread(2, 3), spread(1, 2)) == ""
    assert verdict(spread(2, 3), spread(2.5, 9)) == ""
