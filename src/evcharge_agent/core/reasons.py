"""Reason codes: why a connector waits, why a limit stands, why a request was refused.

The code is stable and goes into the API, the log and the session record; the English text is the fallback
of the text catalogue, keyed by the same code.
"""

import enum
from collections.abc import Mapping


class Reason(enum.Enum):
    """Why something is as it is; the value is the stable code."""

    # why no energy flows
    AWAITING_AUTHORISATION = "awaiting_authorisation"
    AUTHORISING = "authorising"
    AWAITING_VEHICLE = "awaiting_vehicle"
    AWAITING_METER = "awaiting_meter"
    START_PENDING = "start_pending"
    RESUMING = "resuming"
    VEHICLE_PAUSED = "vehicle_paused"
    VEHICLE_UNPLUGGED = "vehicle_unplugged"
    DEAUTHORISED = "deauthorised"
    NO_CURRENT = "no_current"
    PAUSED_BY_PROFILE = "paused_by_profile"
    STOPPED = "stopped"
    GUARD_LOST = "guard_lost"
    FAULT = "fault"
    COPROCESSOR = "coprocessor"
    START_UP = "start_up"
    RCM_SELF_TEST = "rcm_self_test"
    LOCK = "lock"
    RECLOSE_GUARD = "reclose_guard"
    IN_TRANSIT = "in_transit"
    # why a session or a request was refused
    NOT_AUTHORISED_IN_TIME = "not_authorised_in_time"
    NO_VEHICLE_IN_TIME = "no_vehicle_in_time"
    ID_BLOCKED = "id_blocked"
    ID_EXPIRED = "id_expired"
    ID_INVALID = "id_invalid"
    ID_CONCURRENT = "id_concurrent"
    ID_UNKNOWN_OFFLINE = "id_unknown_offline"
    CANCELLED = "cancelled"
    STORAGE_FAILED = "storage_failed"
    METER_LOST = "meter_lost"
    BUSY = "busy"
    UNKNOWN_CONNECTOR = "unknown_connector"
    NO_FREE_CONNECTOR = "no_free_connector"
    NO_TRANSACTION = "no_transaction"
    NOT_ACCEPTED = "not_accepted"
    REFUSED_BY_GUARD = "refused_by_guard"
    OUT_OF_SERVICE = "out_of_service"
    RESTARTING = "restarting"
    CACHE_OFF = "cache_off"
    RESERVED = "reserved"
    NO_RESERVATION = "no_reservation"
    RESERVATION_REFUSED = "reservation_refused"
    LIST_OFF = "local_list_off"
    LIST_VERSION = "local_list_version"
    LIST_INVALID = "local_list_invalid"
    PROFILE_REFUSED = "profile_refused"
    PROFILES_FULL = "profiles_full"
    NO_PROFILE = "no_profile"
    # why a limit stands
    RATING = "rating"
    CABLE = "cable"
    SUPPLY = "supply"
    TEMPERATURE = "temperature"
    TEMPERATURE_SENSOR_LOST = "temperature_sensor_lost"
    COPROCESSOR_LIMIT = "coprocessor_limit"
    INSTALLER_LIMIT = "installer_limit"
    INSTALLER_LIMIT_SHARED = "installer_limit_shared"
    USER_LIMIT = "user_limit"
    CHARGE_POINT_MAX_PROFILE = "charge_point_max_profile"
    CHARGE_POINT_MAX_PROFILE_SHARED = "charge_point_max_profile_shared"
    TX_DEFAULT_PROFILE = "tx_default_profile"
    TX_PROFILE = "tx_profile"
    PROFILE_TIME_UNKNOWN = "profile_time_unknown"


TEXTS: Mapping[Reason, str] = {
    Reason.AWAITING_AUTHORISATION: "Waiting for authorisation: present a card or start from the app.",
    Reason.AUTHORISING: "Checking the authorisation.",
    Reason.AWAITING_VEHICLE: "Authorised. Waiting for a car to be plugged in.",
    Reason.AWAITING_METER: "Authorised. Waiting for a reading of the meter.",
    Reason.START_PENDING: "The start of the session is being stored.",
    Reason.RESUMING: "A session from before the restart is being taken up again.",
    Reason.VEHICLE_PAUSED: "Everything is ready. The car is not asking for energy.",
    Reason.VEHICLE_UNPLUGGED: "The car was unplugged. Plug it in again, or end the session with its card.",
    Reason.DEAUTHORISED: "The central system did not accept this card, so no energy is delivered.",
    Reason.NO_CURRENT: "Paused: less than 6 A is available.",
    Reason.PAUSED_BY_PROFILE: "Paused by the central system: it allows less than 6 A now.",
    Reason.STOPPED: "The session has ended. The car can be unplugged.",
    Reason.GUARD_LOST: "The safety process is not answering. Charging goes on when it is back.",
    Reason.FAULT: "A fault keeps the charger from delivering energy.",
    Reason.COPROCESSOR: "The pilot co-processor is not answering.",
    Reason.START_UP: "The charger is starting up.",
    Reason.RCM_SELF_TEST: "The residual current monitor is being tested.",
    Reason.LOCK: "Waiting for the connector lock.",
    Reason.RECLOSE_GUARD: "Waiting a few seconds before the contactor may close again.",
    Reason.IN_TRANSIT: "The charge is about to start.",
    Reason.NOT_AUTHORISED_IN_TIME: "Nobody authorised in time. Present a card to start.",
    Reason.NO_VEHICLE_IN_TIME: "No car was plugged in in time. Authorise again.",
    Reason.ID_BLOCKED: "This card is blocked.",
    Reason.ID_EXPIRED: "This card has expired.",
    Reason.ID_INVALID: "This card is not known.",
    Reason.ID_CONCURRENT: "This card is already used for another session.",
    Reason.ID_UNKNOWN_OFFLINE: "The central system cannot be reached and this card may not charge without it.",
    Reason.CANCELLED: "The authorisation was withdrawn.",
    Reason.STORAGE_FAILED: "The session could not be stored, so it was not started.",
    Reason.METER_LOST: "The session's meter gives no values.",
    Reason.BUSY: "The connector is already in use.",
    Reason.UNKNOWN_CONNECTOR: "There is no such connector.",
    Reason.NO_FREE_CONNECTOR: "No connector is free.",
    Reason.NO_TRANSACTION: "There is no such session.",
    Reason.NOT_ACCEPTED: "The central system has not accepted this charger yet.",
    Reason.REFUSED_BY_GUARD: "The safety process refused.",
    Reason.OUT_OF_SERVICE: "The operator has taken this connector out of service.",
    Reason.RESTARTING: "The charger is about to restart.",
    Reason.CACHE_OFF: "The authorisation cache is switched off.",
    Reason.RESERVED: "This connector is reserved for somebody else.",
    Reason.NO_RESERVATION: "There is no such reservation.",
    Reason.RESERVATION_REFUSED: "This cannot be reserved.",
    Reason.LIST_OFF: "The local authorisation list is switched off.",
    Reason.LIST_VERSION: "The update is not newer than the local authorisation list.",
    Reason.LIST_INVALID: "The update names an id twice, or more ids than there is room for.",
    Reason.PROFILE_REFUSED: "The charging profile is not taken.",
    Reason.PROFILES_FULL: "No room for one more charging profile.",
    Reason.NO_PROFILE: "There is no such charging profile.",
    Reason.RATING: "Rated current of this connector.",
    Reason.CABLE: "Rated current of the cable.",
    Reason.SUPPLY: "Supply shared by the connectors of this charger.",
    Reason.TEMPERATURE: "The charger is warm and delivers less until it has cooled down.",
    Reason.TEMPERATURE_SENSOR_LOST: "The temperature sensor gives no value.",
    Reason.COPROCESSOR_LIMIT: "The pilot co-processor's own limit.",
    Reason.INSTALLER_LIMIT: "Limit set by the installer.",
    Reason.INSTALLER_LIMIT_SHARED: "Limit set by the installer, shared with the other connector.",
    Reason.USER_LIMIT: "Limit set by the user.",
    Reason.CHARGE_POINT_MAX_PROFILE: "Limit set by the central system for the charger.",
    Reason.CHARGE_POINT_MAX_PROFILE_SHARED: "Limit set by the central system, shared with the other connector.",
    Reason.TX_DEFAULT_PROFILE: "Limit set by the central system for every session.",
    Reason.TX_PROFILE: "Limit set by the central system for this session.",
    Reason.PROFILE_TIME_UNKNOWN: "The time is not known yet: the least the central system's schedule charges with.",
}
