# thm-weighted: S+ (1 - z) + (S- z) q, where no product underflows.
# By hand: each computed S is within S of the exact one.
@fl = float<FORMAT, ne>;
z = fl(z_);  q = fl(q_);  plus = fl(plus_);  minus = fl(minus_);
loss fl= plus * (1 - z) + (minus * z) * q;

{ z in [1b-20, LAST] /\ q in [1b-20, 1b20] /\ exact_plus in [1b-40, 1b40] /\ exact_minus in [1b-40, 1b40]
  /\ plus -/ exact_plus in [-S, S] /\ minus -/ exact_minus in [-S, S]
  -> loss -/ (exact_plus * (1 - z) + (exact_minus * z) * q) in [-BOUND, BOUND] }
