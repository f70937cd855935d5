"""A text of C becomes a library: compiled once, kept where only its owner writes, or why not."""

import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from xpmlp.compiler import building
from xpmlp.compiler.building import NoCompiler, compiler, load

COMPILER = compiler()
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="nothing is compiled on Windows"),
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler"),
]
TEXT = "int answer(void) { return 42; }\n"
EXPS = """
#include <math.h>
#ifndef XPMLP_SCALAR_MATH
__attribute__((simd("notinbranch"), const)) float expf(float);
#endif
void exps(const float *restrict x, float *restrict y, int n) {
#pragma omp simd
    for (int i = 0; i < n; ++i) y[i] = expf(x[i]);
}
"""
AFRESH = """
import sys
from xpmlp.compiler.building import load
print(load(sys.argv[1]).answer())
"""
COUNTING = 'echo >> "{log}"; exec {cc} "$@"'


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give a home of its own to every test, and a folder for what is temporary."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(building, "_LOADED", {})
    yield
    assert not list((tmp_path / "temporary").iterdir())


@pytest.fixture
def cache() -> Path:
    return building._folder()


@pytest.fixture
def named(tmp_path, monkeypatch):
    """Have CC name a script."""

    def write(script: str) -> Path:
        path = tmp_path / "named-compiler"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return path

    return write


@pytest.fixture
def runs(tmp_path, named):
    """Count how often the compiler is started."""
    log = tmp_path / "log"
    log.touch()
    named(COUNTING.format(log=log, cc=" ".join(building._command())))
    return lambda: len(log.read_text().splitlines())


def afresh(text: str = TEXT) -> subprocess.Popen:
    """Load a text in a process of its own, which prints its answer."""
    command = [sys.executable, "-c", AFRESH, text]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer_of(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=60)
    assert not errors
    return output.strip()


def kept(cache: Path) -> Path:
    (library,) = cache.iterdir()
    return library


def rewrite(path: Path, content: bytes) -> None:
    """Change a file that may be loaded: another one takes its name."""
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o600)


def forget(monkeypatch) -> None:
    monkeypatch.setattr(building, "_LOADED", {})


def test_a_text_is_compiled_loaded_and_called():
    library = load(TEXT)
    assert library.answer() == 42
    assert load(TEXT) is library
    assert load(TEXT.replace("42", "43")).answer() == 43


def test_vectors_of_expf_are_right_whether_libmvec_is_there_or_not(monkeypatch):
    x = (ctypes.c_float * 21)(*(i / 7 - 1 for i in range(21)))
    for options in (building.VECTOR_MATH, building.VECTOR_MATH[-1:]):
        monkeypatch.setattr(building, "VECTOR_MATH", options)
        forget(monkeypatch)
        y = (ctypes.c_float * 21)()
        load(EXPS).exps(x, y, 21)
        assert list(y) == pytest.approx([2.718281828**v for v in x], rel=1e-6)


def test_options_that_a_compiler_refuses_are_left_out(named):
    cc = " ".join(building._command())
    named(f'case "$*" in *-march=*|*-mcpu=*|*-lmvec*) echo refused >&2; exit 1;; esac; {cc} "$@"')
    text = f"{TEXT}\n#ifndef XPMLP_SCALAR_MATH\n#error vectors\n#endif"
    assert load(text).answer() == 42


def test_a_second_process_does_not_start_the_compiler(runs, cache):
    assert answer_of(afresh()) == "42"
    assert runs() > 0
    before = runs()
    assert answer_of(afresh()) == "42"
    assert runs() == before
    assert cache.stat().st_mode & 0o777 == 0o700
    assert kept(cache).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", ["text", "FLAGS", "FORMAT", "_processor", "the compiler"])
def test_what_a_library_depends_on_is_in_its_key(change, monkeypatch, named):
    path = named("exit 1")
    command = [str(path)]
    key, text = building._key(TEXT, command), TEXT
    assert building._key(TEXT, command) == key
    assert building._key(TEXT, [*command, "-m32"]) != key
    if change == "text":
        text += " "
    elif change == "the compiler":
        named("exit 12")
    else:
        other = {"FLAGS": ("-O2",), "FORMAT": 0, "_processor": lambda: "another"}[change]
        monkeypatch.setattr(building, change, other)
    assert building._key(text, command) != key


def test_the_processor_is_told_by_more_than_its_architecture():
    told = building._processor()
    assert told.startswith(os.uname().machine)
    assert len(told) > len(os.uname().machine) + 1


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "linked", "for others"])
def test_a_library_that_was_tampered_with_is_made_again(damage, runs, cache, monkeypatch, tmp_path):
    load(TEXT)
    library, before = kept(cache), runs()
    content = library.read_bytes()
    if damage == "truncated":
        rewrite(library, content[:-100])
    elif damage == "altered":
        rewrite(library, content.replace(b"answer", b"danger"))
    elif damage == "empty":
        rewrite(library, b"")
    elif damage == "linked":
        library.replace(tmp_path / "elsewhere.so")
        library.symlink_to(tmp_path / "elsewhere.so")
    else:
        library.chmod(0o666)
    forget(monkeypatch)
    assert load(TEXT).answer() == 42
    assert runs() > before
    assert kept(cache).read_bytes() == content
    assert kept(cache).lstat().st_mode & 0o777 == 0o600
    before = runs()
    forget(monkeypatch)
    assert load(TEXT).answer() == 42
    assert runs() == before


def test_bytes_that_are_as_their_name_says_and_no_library_are_made_again(cache, runs):
    with building._cache() as held:
        building._keep(held, building._key(TEXT, building._command()), b"text")
    assert load(TEXT).answer() == 42
    assert runs() > 0
    assert kept(cache).read_bytes() != b"text"


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_to_is_no_cache(mode, cache, runs, monkeypatch):
    load(TEXT)
    before = runs()
    cache.chmod(mode)
    library = kept(cache)
    content = library.read_bytes()
    rewrite(library, b"of somebody else")
    forget(monkeypatch)
    assert load(TEXT).answer() == 42
    assert runs() > before
    assert library.read_bytes() == b"of somebody else" != content


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs the superuser")
@pytest.mark.parametrize("foreign", ["folder", "file"])
def test_what_belongs_to_another_user_is_not_trusted(foreign, cache, runs, monkeypatch):
    load(TEXT)
    before = runs()
    os.chown(cache if foreign == "folder" else kept(cache), 65534, 65534)
    forget(monkeypatch)
    assert load(TEXT).answer() == 42
    assert runs() > before


@pytest.mark.parametrize("trouble", ["file", "link", "no home", "relative home", "full", "noexec"])
def test_without_a_cache_a_text_is_compiled_each_time(trouble, cache, runs, monkeypatch, tmp_path):
    if trouble == "file":
        cache.parent.parent.mkdir()
        cache.parent.touch()
    elif trouble == "link":
        cache.parent.mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        cache.symlink_to(tmp_path / "elsewhere")
    elif trouble == "no home":
        monkeypatch.setattr("platformdirs.user_cache_dir", fails(RuntimeError("no home")))
    elif trouble == "relative home":
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")
        monkeypatch.chdir(tmp_path)
    elif trouble == "full":
        monkeypatch.setattr(building, "put_in_place", fails(OSError(28, "No space left on device")))
    else:
        loaded = building._loaded
        monkeypatch.setattr(
            building, "_loaded", lambda path: loaded(path if path.stem == "step" else Path("none"))
        )
    for _ in range(2):
        before = runs()
        forget(monkeypatch)
        assert load(TEXT).answer() == 42
        assert runs() > before
    assert not (tmp_path / "~").exists()


def fails(error: Exception):
    def failing(*_):
        raise error

    return failing


def test_a_cache_that_can_only_be_read_serves(cache, runs, monkeypatch):
    load(TEXT)
    forget(monkeypatch)
    before = runs()
    for name in ("utime", "unlink"):
        monkeypatch.setattr(os, name, fails(OSError(30, "Read-only file system")))
    monkeypatch.setattr(building, "put_in_place", fails(OSError(30, "Read-only file system")))
    assert load(TEXT).answer() == 42
    assert runs() == before


def test_those_used_longest_ago_go_first(cache, monkeypatch):
    monkeypatch.setattr(building, "MOST_LIBRARIES", 2)
    texts = [TEXT.replace("42", str(number)) for number in range(3)]
    for age, text in enumerate(texts[:2]):
        load(text)
        newest = max(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (age, age))
    forget(monkeypatch)
    load(texts[0])
    load(texts[2])
    keys = {building._key(text, building._command()) for text in (texts[0], texts[2])}
    assert {path.name.split("-")[0] for path in cache.iterdir()} == keys


def test_what_a_killed_process_left_unfinished_goes(cache):
    load(TEXT)
    dead = subprocess.Popen(["true"])
    dead.wait()
    (cache / f".some.so.{dead.pid}-00.partial").touch()
    load(TEXT.replace("42", "43"))
    assert not list(cache.glob(".*"))


def test_two_processes_may_compile_the_same_text_at_once(named, cache, tmp_path):
    (tmp_path / "here").mkdir()
    named(
        f': > "{tmp_path}/here/$$"\n'
        f'while [ "$(ls "{tmp_path}/here" | wc -l)" -lt 2 ]; do sleep 0.01; done\n'
        f'exec {" ".join(building._command())} "$@"'
    )
    both = [afresh(), afresh()]
    assert [answer_of(process) for process in both] == ["42", "42"]
    assert load(TEXT).answer() == 42
    kept(cache)


def test_the_first_error_of_the_text_is_told_and_nothing_is_kept(cache):
    with pytest.raises(NoCompiler, match=r"^[^\n]*: step.c:1:\d+: error: [^\n]+$"):
        load("int answer(void) { return nothing; }")
    assert not list(cache.iterdir())


def test_a_library_that_can_not_be_loaded_is_told(cache, monkeypatch):
    monkeypatch.setattr(building, "VECTOR_MATH", ((),))
    with pytest.raises(NoCompiler, match=r"no library can be made or loaded: .*missing_function"):
        load("int missing_function(void); int answer(void) { return missing_function(); }")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo a warning >&2; echo 'fatal error: no header' >&2; exit 1", "fatal error: no header"),
        ("echo out of licences >&2; exit 3", "out of licences"),
        ("exit 3", "failed with exit status 3"),
        ("exit 0", "wrote no library"),
        (": > step.so", "wrote no library"),
        ("echo text > step.so", "no library can be made or loaded: .*"),
        ("kill -KILL $$", r"was ended by a signal \(Killed.*\)"),
    ],
)
def test_a_compiler_that_fails_is_told_in_one_line(script, told, named, cache):
    path = named(script)
    with pytest.raises(NoCompiler, match=f"^{path}: {told}$"):
        load(TEXT)


@pytest.fixture
def alive(tmp_path):
    """Tell whether a script of `named` that begins with ALIVE, or what it started, still runs."""
    os.mkfifo(tmp_path / "alive")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)

    def runs_on() -> bool:
        assert os.read(reader, 9) == b"started\n"
        ended, _, _ = select.select([reader], [], [], 30)
        return not ended or os.read(reader, 1) != b""

    yield runs_on
    os.close(reader)


ALIVE = 'exec 9> "$(dirname "$0")/alive"; echo started >&9'


def test_a_compiler_that_hangs_is_ended_with_what_it_started(named, monkeypatch, alive):
    monkeypatch.setattr(building, "SECONDS", 0.2)
    path = named(f"{ALIVE}; sleep 60 & wait")
    with pytest.raises(NoCompiler, match=f"^{path}: did not end within 0.2 s$"):
        load(TEXT)
    assert not alive()


def test_ctrl_c_leaves_no_folder_no_half_file_and_no_compiler(named, cache, alive):
    named(f"{ALIVE}; : > step.so; kill -INT $PPID; exec sleep 60")
    process = afresh()
    _, errors = process.communicate(timeout=60)
    assert errors.strip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    assert not list(cache.iterdir())
    assert not alive()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("no-such-compiler -O1", "there is no program no-such-compiler, which the variable CC"),
        ("'cc", "the variable CC can't be read"),
    ],
)
def test_a_compiler_that_is_not_there_is_told(named, told, monkeypatch):
    monkeypatch.setenv("CC", named)
    assert compiler() is None
    with pytest.raises(NoCompiler, match=told):
        load(TEXT)


def test_a_machine_without_a_compiler_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler() is None
    with pytest.raises(NoCompiler, match=r"^there is no C compiler \(cc, gcc, clang\) on"):
        load(TEXT)


def test_windows_and_an_uninstalled_xcode_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NoCompiler, match="on Windows nothing is compiled"):
        load(TEXT)
    asking = tmp_path / "xcode-select"
    asking.write_text("#!/bin/sh\nexit 2\n")
    asking.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NoCompiler, match=r"needs the command line tools \(xcode-select --install"):
        building._must_be_installed("/usr/bin/cc")


def test_what_a_compiler_has_of_temporary_files_is_in_the_folder_that_goes(named):
    named(f'cd "$TMPDIR" && [ -f step.c ] && exec {building._command()[0]} "$@"')
    assert load(TEXT).answer() == 42


def test_a_compiler_may_be_named_from_the_folder_of_work(named, monkeypatch):
    path = named(f'exec {building._command()[0]} "$@"')
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("CC", f"./{path.name}")
    assert load(TEXT).answer() == 42


def test_options_in_cc_are_heeded(monkeypatch):
    command = building._command()
    monkeypatch.setenv("CC", f"'{command[0]}' -DANSWER=44")
    assert load("int answer(void) { return ANSWER; }").answer() == 44


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("cc (Debian 12.2.0-14+deb12u1) 12.2.0\nFree Software Foundation, Inc.", "gcc 12.2.0"),
        ("Apple clang version 15.0.0 (clang-1500.3.9.4)", "clang 15.0.0"),
        ("", "named-compiler of an unknown version"),
    ],
)
def test_the_compiler_is_told_by_name_version_and_path(output, told, named):
    path = named(f"cat <<'END'\n{output}\nEND")
    assert compiler() == f"{told} ({path})"
