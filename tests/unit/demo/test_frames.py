"""The bounded log of frames."""

from evcharge_agent.demo.frames import Direction, FrameLog


def logged(*texts, kept=100):
    log = FrameLog(kept)
    for text in texts:
        log.add(Direction.FROM_CHARGER, text, 1.0)
    return log


def test_frames_are_summed_up_by_their_action():
    log = logged(
        '[2,"1","Heartbeat",{}]', '[3,"1",{}]', '[4,"1","GenericError","",{}]', '[3,"?",{}]', "x", "[2]", "7", "[9,9,9]"
    )
    assert [frame.summary for frame in log.all()] == [
        "Heartbeat",
        "Heartbeat answered",
        "Heartbeat refused",
        "? answered",
        "?",
        "?",
        "?",
        "?",
    ]


def test_the_log_is_bounded_and_counts_on():
    log = logged(*[f'[2,"{number}","A{number}",{{}}]' for number in range(1000)], kept=3)
    assert [frame.number for frame in log.all()] == [998, 999, 1000]
    assert [frame.summary for frame in log.newer_than(999)] == ["A999"]
