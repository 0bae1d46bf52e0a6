# thm-rounded-once: a result that float64 has within WIDE of the exact one, rounded to the narrower type.
@fl = float<FORMAT, ne>;

{ exact in [TINY, 1b10] /\ wide -/ exact in [-WIDE, WIDE] -> fl(wide) -/ exact in [-BOUND, BOUND] }
