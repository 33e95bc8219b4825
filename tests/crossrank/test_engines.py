"""Where blocks are scored: what a run sets for the process, it takes back."""

from threadpoolctl import threadpool_info, threadpool_limits

from crossrank.engines import NumpyThreads


def threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_runs_that_overlap_leave_the_threads_as_they_were() -> None:
    """The first to begin may be the first to end, in a server."""
    with threadpool_limits(2):
        before = threads()
        held = NumpyThreads()
        one, other = held.held_to(1), held.held_to(1)
        one.__enter__()
        other.__enter__()
        assert threads() == {1}
        one.__exit__(None, None, None)
        other.__exit__(None, None, None)
        assert threads() == before
