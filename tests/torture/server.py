"""A warm parent: it has imported all that a command needs, and forks a child for each command.

It reads requests as lines of JSON and answers each by a line. Started by `tests.torture.warm`.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import sys
import warnings

from tests.torture.plan import Plan


def make_checkpoints_frequent(seconds):
    """Let checkpoints be written after so many seconds; of 0, at every second step or so too."""
    from xpmlp import train
    from xpmlp.training import pieces

    train.SECONDS_BETWEEN_CHECKPOINTS = seconds
    if seconds == 0.0:
        train.LEAST_SHARE = 0.0
        pieces.PIECE_SECONDS = 2.0 * pieces.STEP_SECONDS


def import_all(argv, here):
    """Import what a training imports: by running it, here or in a child that tells the names."""
    from xpmlp import train

    if here:
        code = train.main(argv)
    else:
        code, names = in_child(lambda: [train.main(argv), sorted(sys.modules)])
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    if code:
        raise SystemExit(f"training {' '.join(argv)} failed; its words are above")


def in_child(compute):
    """Return what a function returns in a child process."""
    ours, theirs = os.pipe()
    if not os.fork():
        os.write(theirs, json.dumps(compute()).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as file:
        found = json.loads(file.read())
    os.wait()
    return found


def arm(plan, library):
    """Have the preloaded library do what the plan says, in this process alone."""
    if not library:
        return
    arguments = plan.folder.encode(), plan.report.encode(), plan.mask(), plan.action_number()
    code = ctypes.CDLL(library).torture_arm(
        *arguments,
        ctypes.c_longlong(plan.at),
        plan.error,
        int(plan.lasting),
        ctypes.c_longlong(plan.least),
    )
    if code:
        raise SystemExit(f"can't open {plan.report}")


def become(request, library):
    """Turn this process, which was just forked, into the command; return its `main`."""
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    for number, name in enumerate((request["stdout"], request["stderr"]), start=1):
        end = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(end, number)
        os.close(end)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if request["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
    if request["processors"]:
        os.sched_setaffinity(0, request["processors"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [request["module"], *request["argv"]]
    make_checkpoints_frequent(request["checkpoint_seconds"])
    main = importlib.import_module(request["module"]).main
    plan = Plan(**request["plan"]) if request["plan"] else None
    if plan:
        arm(plan, library)
    return main


def serve(library):
    """Answer requests; in a child, return what it is to run."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        if "import" in request:
            import_all(request["import"], request["here"])
            gc.freeze()  # else a child's collector touches, and so copies, all that is shared
            answers.write("{}\n")
        elif "ended" in request:
            ended, status = os.waitpid(request["ended"], os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
            answers.write(json.dumps({"code": code}) + "\n")
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # JAX warns of forks; it has no threads here yet
                child = os.fork()
            if not child:
                nowhere = os.open(os.devnull, os.O_RDONLY)
                os.dup2(nowhere, 0)
                answers.close()
                return request
            answers.write(json.dumps({"pid": child}) + "\n")
    return None


def main():
    """Serve; in a child, run the command.

    That ends without taking the interpreter apart, which costs more than all the rest, unless the
    request asks for it.
    """
    library = os.environ.get("XPMLP_TORTURE_LIBRARY", "")
    request = serve(library)
    if not request:
        return
    from xpmlp.commands import run_as_program

    try:
        run_as_program(become(request, library))
    except SystemExit as end:
        if request["takes_apart"]:
            raise
        sys.stderr.flush()
        os._exit(end.code)


if __name__ == "__main__":
    main()
