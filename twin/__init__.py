"""suitwin: a digital twin of the Guangzhou grid.

Imports go down only; `hil` may import `twin`, never the reverse. The contracts in
`pyproject.toml` hold this picture to the code.

====================  =======================================================================
layer                 what lives there
====================  =======================================================================
cli                   `twin run | compare | validate | schema`
run                   composition root: scenario -> city -> simulation -> results; one stopwatch
results               run directory, metrics, the page
scenario              the scenario file, its problems all at once, and the city built from it
verify                the judge: sees records only
control               the reference platform logic: readings in, set-points and reports out
engine                the simulation: simpy, the timeline, telemetry, forks
city                  Guangzhou as data, and the sites and fleet synthesised from it
grid                  the network, its load flow, taps and outages (pandapower)
assets                one file a device kind
kernels               compiled physics (numba)
record                what engine, control, verify and results share
clock units errors    time, units, the error tree; `chance` draws by key
====================  =======================================================================

`verify`, `control` and `engine` do not know each other; neither do `grid` and `assets`.

Signs: power is positive *into* the grid, so generation and discharge are positive and
consumption negative. A name that begins with `demand_` is positive consumption. Verdicts and
the page speak of load and reduction, both positive.
"""

__version__ = "0.1.0"
