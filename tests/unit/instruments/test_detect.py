"""Which maps fit a meter, and what is said when several do."""

import pytest

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.detect import DetectedMeter, Detection, Search, detect, fits
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.registers import shipped_maps
from evcharge_hal.instruments.rtu_frames import Answer, Request
from evcharge_hal.instruments.values import InstrumentError, MeterValues
from tests.support.golden_meters import load_golden
from tests.support.virtual_time import run_virtual


class ImageTransport:
    """A line with one meter that gives defined registers of its own function only."""

    name = "line"

    def __init__(self, golden: str, *, is_lenient: bool = False) -> None:
        image = load_golden(golden)
        self.words, self.function_code = image.words, image.function_code
        self.is_lenient = is_lenient
        self.is_silent = False
        self.refuses_in_silence = False
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        is_wrong = request.function_code != self.function_code
        if self.is_silent or (self.refuses_in_silence and is_wrong):
            raise InstrumentError("no answer")
        addresses = range(request.address, request.address + request.count)
        if is_wrong and not self.is_lenient:
            return Answer(exception_code=1)
        if not self.is_lenient and any(address not in self.words for address in addresses):
            return Answer(exception_code=2)
        return Answer(tuple(self.words.get(address, 0) for address in addresses))

    def disconnect(self) -> None:
        pass


def found(golden: str, *, is_lenient: bool = False) -> Detection:
    return run_virtual(detect(ModbusLine(ImageTransport(golden, is_lenient=is_lenient)), 1))


@pytest.mark.parametrize(
    ("golden", "name"),
    [
        ("abb-b23", "abb-b2x"),
        ("abb-b24-one-phase", "abb-b2x"),
        ("gnm3d", "em3xx"),
        ("em112", "em11x"),
        ("iem3155", "iem3155"),
        ("klefr6934-one-phase", "klefr6934"),
        ("klefr6924", "klefr6924"),
    ],
)
def test_a_meter_is_detected(golden, name):
    detection = found(golden)
    assert detection.certain == name
    assert str(detection) == f"unit 1: {name}"


def test_two_that_fit_are_both_named_and_none_is_chosen():
    """A single-phase meter that answers undefined registers with 0 looks like a three-phase one on one phase."""
    detection = found("sdm230", is_lenient=True)
    assert detection.fitting == ("sdm120", "sdm630")
    assert detection.certain is None
    assert str(detection) == "unit 1: sdm120, sdm630 all fit; name the one on the label"


def test_a_meter_without_voltages_fits_nothing():
    detection = found("sdm72d-m-v1")
    assert detection.fitting == ()
    assert "no register map fits" in str(detection)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_meter_that_refuses_by_silence_is_detected_on_a_shared_line_too(is_shared):
    """There it is backed off from; a map that was not tried for that must not be passed over."""
    transport = ImageTransport("sdm230")
    transport.refuses_in_silence = True
    line = ModbusLine(transport)
    if is_shared:
        line.join(2)
    assert run_virtual(detect(line, 1)).certain == "sdm120"


def test_nobody_there_is_an_error_and_no_detection():
    transport = ImageTransport("gnm3d")
    transport.is_silent = True
    with pytest.raises(InstrumentError, match="no answer"):
        run_virtual(detect(ModbusLine(transport), 1))


@pytest.mark.parametrize(
    ("change", "is_fitting"),
    [
        ({}, True),
        ({"voltage_v": PerPhase(230.0, 0.0, 0.0)}, True),
        ({"voltage_v": PerPhase(0.0, 230.0, 230.0)}, False),
        ({"voltage_v": PerPhase(23.0, 23.0, 23.0)}, False),
        ({"voltage_v": None}, False),
        ({"frequency_hz": None}, False),
        ({"frequency_hz": 5.0}, False),
        ({"energy_wh": None}, False),
        ({"power_factor": 7.0}, False),
    ],
)
def test_a_picture_of_the_mains_fits(change, is_fitting):
    values = {
        "energy_wh": WattHours(0),
        "voltage_v": PerPhase.uniform(230.0),
        "frequency_hz": 50.0,
        "power_factor": 1.0,
    } | change
    assert fits(MeterValues(**values)) is is_fitting


def test_a_detected_meter_tries_one_map_each_reading_and_then_reads():
    async def main() -> None:
        meter = DetectedMeter(ModbusLine(ImageTransport("gnm3d")), 1)
        for _ in shipped_maps()[1:]:
            with pytest.raises(InstrumentError, match="trying the register maps"):
                await meter.read()
        assert (await meter.read()).energy_wh == 123_456_700
        assert meter.register_map is not None
        assert (await meter.read()).energy_wh == 123_456_700
        await meter.close()

    run_virtual(main())


def test_a_meter_that_fits_two_maps_stays_silent_and_says_so():
    async def main() -> None:
        meter = DetectedMeter(ModbusLine(ImageTransport("sdm230", is_lenient=True)), 1)
        for _ in range(2):
            for _ in shipped_maps()[1:]:
                with pytest.raises(InstrumentError, match="trying"):
                    await meter.read()
            with pytest.raises(InstrumentError, match="sdm120, sdm630 all fit"):
                await meter.read()

    run_virtual(main())


def test_a_meter_that_comes_late_is_searched_when_it_answers():
    async def main() -> None:
        transport = ImageTransport("em112")
        transport.is_silent = True
        search = Search(ModbusLine(transport), 1, ["em3xx", "em11x"])
        for _ in range(5):
            with pytest.raises(InstrumentError, match="no answer"):
                await search.try_next()
        transport.is_silent = False
        while not search.is_over:
            await search.try_next()
        assert search.detection.certain == "em11x"

    run_virtual(main())
