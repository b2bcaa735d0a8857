"""One scenario for each case of the OCA's test-case list for charge points, OCPP 1.6 (`titles.py`).

The OCA's document is not public in the form of steps; each scenario is what its title and the standard demand.
A module is a group of cases. How to write one:

    @in_memory(keys={"ConnectionTimeOut": 5})
    async def test_tc_004_2_start_identification_first_connection_time_out(bench: Bench) -> None:
        await bench.booted()
        await bench.swipe()
        authorised = await bench.central.expect("Authorize", idTag=CARD)
        await bench.status("Preparing")
        lapsed = await bench.status("Available", within_s=15)
        assert -1.0 <= lapsed.at_s - authorised.at_s - 5 <= 10.0

- The name is `test_tc_` + id + a few words; take the id out of `MISSING` in `test_ids.py`.
- `bench` has the hands of the tester (`plug`, `unplug`, `swipe`, `cut_power`, `sleep`), the truth of the world
  (`world`, `is_charging`), and `bench.rig` for the rest (`do` any verb of the simulator, `ask` the agent).
- `bench.central` is the strict central system (`tests/support/strict`): `order(action, **payload)` asks and
  returns the status, `call` the whole result, `configure(Key=value)` changes keys; `expect(action, **fields)` takes the
  next matching call of the charger, `expect_all(wanted(...), ...)` several in any order, `quiet` demands that
  nothing comes; `answers` says how it answers (`tag`, `tag_at_start`, `boot`, `next(action, error())`).
- All laws are on: after the scenario everything on the wire is judged, so a scenario asserts only what its title is
  about. One that must break a law says so: `@in_memory(waived=("name_of_the_law",))`. A new law needs a
  charge point that breaks it (`tests/support/wrong_charge_points`).
- `@in_memory(...)`: `keys` and `ocpp` are the charger's settings, from which the expectations follow; `prepare`
  tells the central system something before the charger is there; `has_sockets` takes a real WebSocket, `tls` one with
  certificates (`bench.pki`; `bench.central.change_tls` listens with others); `has_locks` gives sockets that hold the
  plug.
- A charger that starts anew by itself, after an update, is announced by `bench.central.mark("restart")`.
- Time is virtual: do not save it, but every simulated second costs a few milliseconds.
- One case of each group also runs with real processes: `test_with_processes.py`, marked `system`.
"""
