"""Fixed MESSAGE_IDs of the events that somebody may want to be told of; never changed, never used twice.

`journalctl MESSAGE_ID=…` finds them whatever their text says; `systemd/evcharge.catalog` explains them. An event that
agent and guard both see has one id; SYSLOG_IDENTIFIER tells who wrote it.
"""

from typing import Final

MESSAGE_IDS: Final = {
    # Life of the processes
    "agent_ready": "8a47ad3b3f5f4d588b8614424a5d6034",
    "agent_stops": "59217ec61637486f9aa1eb2a6d0c27fe",
    "guard_started": "e1a8c73fd27a4fa8a0b82078828dfb3b",
    "restored": "2766abe7b16b413c989b20c9bc91ed48",
    "bug": "8be81559891a44be84d7c49b5bb3525d",
    "stored_setting_left_out": "f75a18076c6341069900b0ab9b216b02",
    # A session
    "plugged": "3e7826c19c354995b5f8b0746d23521e",
    "unplugged": "e2c0fde9ea3a4e95a12f875236439ae7",
    "authorised": "21be826252234d549d8b6d277e1ebde3",
    "card_ignored": "b3c9fb339e3d4c788cc15cb9f48e93c7",
    "transaction_started": "c48e64abe0c44790a89b249970de889d",
    "transaction_continued": "2c926242937a40ffa9f66b1f4b7306f9",
    "transaction_stopped": "d4fddf57d6fc4b10b1f673b2247663d1",
    "transaction_finished": "cc54218833ec41d5a466cd4a03fce6c6",
    "transaction_not_accepted": "29ed7e18c4bf4b659a4c5a8b427c947c",
    "started_without_reading": "ec670a5fffe2447e86abf962b5acf881",
    "offer_changed": "f0ecc17d72b740baa559f7d11d40a301",
    # Contactor
    "contactor_closed": "fa58f034803542358afa7a7b6b41e912",
    "contactor_opened": "c64021fde6cf4b749e2e048f283cf666",
    # What went wrong
    "fault_raised": "accd95d893dd4adaa0db951270cc9c9e",
    "fault_cleared": "38dc02ba27db43959eabde9648ff75c7",
    "guard_connected": "883bf77e874c49de9ceb03bff54ab2c7",
    "guard_lost": "9829184a52e145dfae8add150b72cd08",
    "lease_lapsed": "da8d450dc4f647e4ba44ef197c440851",
    "lease_spent": "86efc385a6dc41df9a77d13d2a484a0e",
    "coprocessor_up": "98d55eef8eaa418595f8266388a9d9b0",
    "coprocessor_lost": "3ce120af8dc84b0792045e99bb22a2c3",
    "power_restored": "d2ec344479ed450c806eb60bdf198513",
    "meter_lost": "827ef1ffaf91419baf89793214201d09",
    "meter_found": "b88f91862ef64561af5afcd7718ce34d",
    "register_fell": "11de009aed6e4212ae87cbfdacdf5557",
    "overcurrent": "522a5253a2fe4573946af1d78d21d7f9",
    "commit_failed": "2a4e01df284b4e6aa0187d1d8d17bab3",
    "notice": "681df85ba91945fc951eac0f5f296558",
}
"""Name of the event -> id, 128 bits in hexadecimal."""
