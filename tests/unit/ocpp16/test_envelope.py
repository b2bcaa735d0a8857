"""Frames are read strictly, answered where that is possible, and never raise."""

import json
import time

import pytest

from evcharge_agent.ocpp16.envelope import (
    MAX_DEPTH,
    MAX_FRAME_LENGTH,
    CallFrame,
    ErrorCode,
    ErrorFrame,
    MalformedCall,
    ResultFrame,
    Unusable,
    call_error,
    read_frame,
)

FORMATION = ErrorCode.FORMATION_VIOLATION


def test_a_call_a_result_and_an_error_are_read():
    assert read_frame('[2,"1","Reset",{"type":"Hard"}]') == CallFrame("1", "Reset", {"type": "Hard"})
    assert read_frame('[3,"1",{}]') == ResultFrame("1", {})
    assert read_frame('[4,"1","GenericError","why",{}]') == ErrorFrame("1", "GenericError", "why")


@pytest.mark.parametrize("text", ['[4,"1"]', '[4,"1",null,7,null]', '[4,"1",{},[],{},1]'])
def test_an_error_in_any_shape_is_an_error(text):
    assert read_frame(text) == ErrorFrame("1", "", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        "null",
        '"2"',
        "[2]",
        "[2,",
        '[9,"1","Reset",{}]',
        '[true,"1","Reset",{}]',
        '[2.0,"1","Reset",{}]',
        '["2","1","Reset",{}]',
        '[2,null,"Reset",{}]',
        '[2,{},"Reset",{}]',
        '[2,7,"Reset",{}]',
        '[2,"","Reset",{}]',
        f'[2,"{"i" * 37}","Reset",{{}}]',
        '[2,"\\ud800","Reset",{}]',
        '[3,"1"]',
        '[3,"1",[]]',
        '[3,"1",null]',
        '[3,"1",{},{}]',
        '[3,"1",{"a":NaN}]',
        "[" * 100_000,
        '[2,"1","Reset",{"a":' + "9" * 5000,
        b'[2,"1","Reset",{}]',
        b"\xff",
    ],
)
def test_what_cannot_be_answered_is_dropped(text):
    assert isinstance(read_frame(text), Unusable)


@pytest.mark.parametrize(
    "text",
    [
        '[2,"1"]',
        '[2,"1","Reset"]',
        '[2,"1",["Reset"],{}]',
        '[2,"1",null,{}]',
        '[2,"1","Reset",null]',
        '[2,"1","Reset",[]]',
        '[2,"1","Reset",{},{}]',
        '[2,"1","Reset",{"a":1,"a":2}]',
        '[2,"1","Reset",{"a":NaN}]',
        '[2,"1","Reset",{"a":-Infinity}]',
        '[2,"1","Reset",{"a":1e999}]',
        '[2,"1","Reset",{"a":' + "9" * 5000 + "}]",
        '[2,"1","Reset",{"a":"\\uD800"}]',
        '[2,"1","Reset",{"\\udfff":1}]',
        '[2,"1","Reset",' + '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH + "]",
        '[2,"1","Reset",' + "[" * 100_000,
        ' [ 2 , "1" , "Reset",{"a":"' + "x" * MAX_FRAME_LENGTH + '"}]',
    ],
)
def test_a_malformed_call_can_be_answered(text):
    frame = read_frame(text)
    assert isinstance(frame, MalformedCall)
    assert (frame.message_id, frame.code) == ("1", FORMATION)


def test_the_depth_limit_is_exact_and_brackets_in_strings_do_not_count():
    inner = MAX_DEPTH - 2
    nested = '[2,"1","Reset",{"a":' + "[" * inner + "]" * inner + "}]"
    assert isinstance(read_frame(nested), CallFrame)
    assert isinstance(read_frame(nested.replace("[]", "[[]]")), MalformedCall)
    quoted = json.dumps([2, "1", "Reset", {"a": "[" * 1000 + '"' + "{" * 1000}])
    assert isinstance(read_frame(quoted), CallFrame)


@pytest.mark.parametrize("number", [10**18, 10**20 - 1, -(10**18)])
def test_a_number_the_store_cannot_hold_is_not_read(number):
    """A transactionId of it would be answered again and again, and never get past the disk."""
    assert isinstance(read_frame(f'[3,"1",{{"transactionId":{number}}}]'), Unusable)
    held = read_frame(f'[3,"1",{{"transactionId":{10**18 - 1}}}]')
    assert held == ResultFrame("1", {"transactionId": 10**18 - 1})


def test_whole_surrogate_pairs_are_text():
    assert read_frame('[2,"1","Reset",{"a":"\\ud83d\\ude00"}]') == CallFrame("1", "Reset", {"a": "\U0001f600"})


@pytest.mark.parametrize("unit", ['\\"', '"', "\\", '["', '{"\\', "\\ud8", "[]"])
def test_no_input_makes_reading_slow(unit):
    text = ('[2,"1","Reset",{"a":"' + unit * MAX_FRAME_LENGTH)[:MAX_FRAME_LENGTH]
    began_s = time.perf_counter()
    read_frame(text)
    assert time.perf_counter() - began_s < 0.5


def test_call_errors_are_cut_and_spelled_as_in_1_6():
    kind, message_id, code, description, details = json.loads(
        call_error("1", ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION, "d" * 300)
    )
    assert (kind, message_id, code, details) == (4, "1", "OccurenceConstraintViolation", {})
    assert len(description) == 255
