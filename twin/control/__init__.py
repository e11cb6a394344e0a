"""The reference platform logic: readings in, set-points and reports out; no I/O.

From top to bottom: `rivals` (simpler logics), `platform` (one minute of everything), `settlement`,
`load_management` (the 20 %), `demand_response` (the 5 %), `market`, `capability`, `baselines`,
`supervision` (what is believed), and what all of them use: `logic` (the base class), `pacing`
(set-points as they go out), `book` (orders), `memory` (state as bytes).
"""
