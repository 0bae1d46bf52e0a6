# thm-gradient, hard labels: s = e / (1 + e) on the right side of 0, and 1 - s on the wrong one, where e = e^-|x| is normal.
# By hand: b - z is exact, adding 0 changes nothing, and e / (1 + e) is within EXP as e is, because the function is concave.
@fl = float<FORMAT, ne>;
e = fl(e_);
s fl= e / (1 + e);
wrong fl= 1 - s;

{ e in [TINY, 1] /\ exact_s in [TINY, 0.5] /\ e / (1 + e) -/ exact_s in [-EXP, EXP]
  -> s -/ exact_s in [-RIGHT, RIGHT] /\ wrong -/ (1 - exact_s) in [-WRONG, WRONG] }
