"""Configuration keys of the Core profile (OCPP 1.6, 9.1)."""

from evcharge_agent.core.facts import Measurand
from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import MEASURANDS_ALLOWED, RW, MeasurandList, R, key
from evcharge_agent.settings.measurands import MAX_MEASURANDS, available_measurands
from evcharge_agent.settings.rotation import ROTATIONS_ALLOWED, PhaseRotation


class CoreKeys(Section):
    """Keys every charge point has."""

    # --- authorisation ------------------------------------------------------------------------------------
    allow_offline_tx_for_unknown_id: bool = key(
        "AllowOfflineTxForUnknownId",
        RW,
        "While offline, an id that is in no list and no cache may charge. A known id that is not accepted stays refused.",
        default=False,
    )
    authorization_cache_enabled: bool = key(
        "AuthorizationCacheEnabled",
        RW,
        "Remember the central system's verdicts; false stops both looking up and writing.",
        default=True,
    )
    authorize_remote_tx_requests: bool = key(
        "AuthorizeRemoteTxRequests",
        RW,
        "Treat RemoteStartTransaction as a card held to the reader: authorise first.",
        default=False,
    )
    local_authorize_offline: bool = key(
        "LocalAuthorizeOffline", RW, "While offline, accept ids known from the local list or the cache.", default=True
    )
    local_pre_authorize: bool = key(
        "LocalPreAuthorize",
        RW,
        "While online, accept an id known from the local list or the cache without asking first.",
        default=False,
    )
    stop_transaction_on_invalid_id: bool = key(
        "StopTransactionOnInvalidId",
        RW,
        "Stop the transaction when the central system does not accept its id; otherwise energy stops and the"
        " transaction stays open.",
        default=True,
    )

    max_energy_on_invalid_id_wh: int = key(
        "MaxEnergyOnInvalidId",
        RW,
        "Energy a transaction may have in all when the central system does not accept its id and"
        " StopTransactionOnInvalidId is false; 0: none from then on.",
        default=0,
        unit="Wh",
        ge=0,
        le=100_000,
    )

    # --- the course of a session --------------------------------------------------------------------------
    connection_time_out_s: int = key(
        "ConnectionTimeOut",
        RW,
        "An authorisation without a car plugged in lapses after this time.",
        default=60,
        unit="s",
        ge=1,
        le=3600,
    )
    stop_transaction_on_ev_side_disconnect: bool = key(
        "StopTransactionOnEVSideDisconnect",
        RW,
        "Unplugging at the car stops the transaction; otherwise it is suspended until the car is back.",
        default=True,
    )
    unlock_connector_on_ev_side_disconnect: bool = key(
        "UnlockConnectorOnEVSideDisconnect",
        R,
        "Unplugging at the car sets the cable free at the charger. A connector lock always gives it free then in this"
        " version.",
        default=True,
    )
    continue_charging_after_power_loss: bool = key(
        "ContinueChargingAfterPowerLoss",
        RW,
        "After a power cut the same transaction goes on; otherwise it gets exactly one StopTransaction(PowerLoss).",
        default=True,
    )
    minimum_status_duration_s: int = key(
        "MinimumStatusDuration",
        RW,
        "A state shorter than this is not reported; the final one always is.",
        default=0,
        unit="s",
        ge=0,
        le=600,
    )
    connector_phase_rotation: PhaseRotation = key(
        "ConnectorPhaseRotation",
        RW,
        "How the phases are wired, for whoever asks. What the charger goes by is the rotation of the board file.",
        default="0.Unknown",
        max_length=500,
        allowed=ROTATIONS_ALLOWED,
    )
    number_of_connectors: int | None = key(
        "NumberOfConnectors",
        R,
        "Connectors of this charger, not counting 0. Without a value: what the guard reports.",
        default=None,
        ge=1,
        le=2,
    )
    connector_phase_rotation_max_length: int = key(
        "ConnectorPhaseRotationMaxLength",
        R,
        "Entries ConnectorPhaseRotation may have: the station and its connectors.",
        default=3,
        ge=0,
        le=3,
    )
    reset_retries: int = key(
        "ResetRetries",
        RW,
        "How often the guard is asked again for a hard reset when it does not answer within a second; then the agent"
        " restarts without it.",
        default=1,
        ge=0,
        le=10,
    )

    blink_repeat: int = key(
        "BlinkRepeat",
        RW,
        "Kept for whoever sets it. The LED of this charger shows states and does not count.",
        default=0,
        ge=0,
        le=100,
    )
    light_intensity_pct: int = key(
        "LightIntensity",
        RW,
        "Kept for whoever sets it. The LED of this charger has one brightness.",
        default=100,
        unit="%",
        ge=0,
        le=100,
    )

    # --- meter values -------------------------------------------------------------------------------------
    meter_value_sample_interval_s: int = key(
        "MeterValueSampleInterval",
        RW,
        "Time between two samples of a transaction, counted from its start; 0 is off.",
        default=60,
        unit="s",
        ge=0,
        le=86_400,
    )
    sampled_data: MeasurandList = key(
        "MeterValuesSampledData",
        RW,
        "What a sample contains. Measurands the meter cannot give are accepted and left out of MeterValues; a phase"
        " may be named (`Voltage.L1`) and all phases are sent.",
        default="Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered,Voltage",
        max_length=2000,
        allowed=MEASURANDS_ALLOWED,
    )
    sampled_data_max_length: int = key(
        "MeterValuesSampledDataMaxLength",
        R,
        "Entries MeterValuesSampledData may have.",
        default=MAX_MEASURANDS,
        ge=0,
        le=MAX_MEASURANDS,
    )
    clock_aligned_data_interval_s: int = key(
        "ClockAlignedDataInterval",
        RW,
        "Time between two clock-aligned samples, at exact multiples since midnight UTC, also outside transactions; 0 is"
        " off. None are taken while the time is not known.",
        default=0,
        unit="s",
        ge=0,
        le=86_400,
    )
    aligned_data: MeasurandList = key(
        "MeterValuesAlignedData",
        RW,
        "What a clock-aligned sample contains; as MeterValuesSampledData. Empty: none are taken.",
        default="Energy.Active.Import.Register",
        max_length=2000,
        allowed=MEASURANDS_ALLOWED,
    )
    aligned_data_max_length: int = key(
        "MeterValuesAlignedDataMaxLength",
        R,
        "Entries MeterValuesAlignedData may have.",
        default=MAX_MEASURANDS,
        ge=0,
        le=MAX_MEASURANDS,
    )
    stop_aligned_data: MeasurandList = key(
        "StopTxnAlignedData",
        RW,
        "What StopTransaction repeats of the clock-aligned samples; as MeterValuesSampledData. Empty: nothing.",
        default="",
        max_length=2000,
        allowed=MEASURANDS_ALLOWED,
    )
    stop_sampled_data: MeasurandList = key(
        "StopTxnSampledData",
        RW,
        "What StopTransaction repeats of the first, the periodic and the last sample; as MeterValuesSampledData. Empty:"
        " nothing. First and last are repeated also while MeterValueSampleInterval is 0.",
        default="",
        max_length=2000,
        allowed=MEASURANDS_ALLOWED,
    )
    stop_aligned_data_max_length: int = key(
        "StopTxnAlignedDataMaxLength",
        R,
        "Entries StopTxnAlignedData may have.",
        default=MAX_MEASURANDS,
        ge=0,
        le=MAX_MEASURANDS,
    )
    stop_sampled_data_max_length: int = key(
        "StopTxnSampledDataMaxLength",
        R,
        "Entries StopTxnSampledData may have.",
        default=MAX_MEASURANDS,
        ge=0,
        le=MAX_MEASURANDS,
    )
    stop_transaction_max_meter_values: int = key(
        "StopTransactionMaxMeterValues",
        RW,
        "Samples one StopTransaction repeats at most. Of more the first and the last stay, and of the others evenly as"
        " many as fit.",
        default=30,
        ge=2,
        le=100,
    )

    # --- the connection -----------------------------------------------------------------------------------
    heartbeat_interval_s: int = key(
        "HeartbeatInterval",
        RW,
        "Time between two Heartbeats; the answer to BootNotification overrides it.",
        default=300,
        unit="s",
        ge=1,
        le=86_400,
    )
    web_socket_ping_interval_s: int = key(
        "WebSocketPingInterval",
        RW,
        "Time between two WebSocket pings; 0 is off.",
        default=30,
        unit="s",
        ge=0,
        le=3600,
    )
    transaction_message_attempts: int = key(
        "TransactionMessageAttempts",
        RW,
        "How often a transaction message is sent while connected before it is parked.",
        default=5,
        ge=1,
        le=100,
    )
    transaction_message_retry_interval_s: int = key(
        "TransactionMessageRetryInterval",
        RW,
        "Wait before sending a transaction message again, times the number of earlier sends.",
        default=30,
        unit="s",
        ge=1,
        le=3600,
    )
    get_configuration_max_keys: int = key(
        "GetConfigurationMaxKeys",
        R,
        "Keys one GetConfiguration may name. Asking without names always returns all of them.",
        default=100,
        ge=1,
        le=1000,
    )
    supported_feature_profiles: str = key(
        "SupportedFeatureProfiles",
        R,
        "Feature profiles of OCPP 1.6 this version has.",
        default="Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,SmartCharging",
        max_length=500,
    )
    supported_feature_profiles_max_length: int = key(
        "SupportedFeatureProfilesMaxLength",
        R,
        "Entries SupportedFeatureProfiles may have: the standard knows no more.",
        default=6,
        ge=0,
        le=6,
    )

    @property
    def meter_values_sampled_data(self) -> tuple[Measurand, ...]:
        """The measurands of `MeterValuesSampledData` our meters can give."""
        return available_measurands(self.sampled_data)

    @property
    def meter_values_aligned_data(self) -> tuple[Measurand, ...]:
        """The measurands of `MeterValuesAlignedData` our meters can give."""
        return available_measurands(self.aligned_data)

    @property
    def stop_txn_sampled_data(self) -> tuple[Measurand, ...]:
        """The measurands of `StopTxnSampledData` our meters can give."""
        return available_measurands(self.stop_sampled_data)

    @property
    def stop_txn_aligned_data(self) -> tuple[Measurand, ...]:
        """The measurands of `StopTxnAlignedData` our meters can give."""
        return available_measurands(self.stop_aligned_data)
