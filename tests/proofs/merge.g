# thm-merge: (r + r' e) + e, where e = e^-|m - m'| is the scale of the side with the smaller maximum, and e is normal.
# By hand: the computed e is within SCALE of the exact one, the rounding of m - m' included.
@fl = float<FORMAT, ne>;
r = fl(r_);  other = fl(other_);  e = fl(e_);
merged fl= (r + other * e) + e;

{ r in [1b-20, 1b20] /\ other in [1b-20, 1b20] /\ exact_e in [1b-100, 1] /\ e -/ exact_e in [-SCALE, SCALE]
  -> merged -/ ((r + other * exact_e) + exact_e) in [-BOUND, BOUND] }
