# thm-gradient, soft labels: (1 - z) - s for x >= 0 and s - z for x < 0, in absolute terms.
# By hand: the computed s is within S of the exact one.
@fl = float<FORMAT, ne>;
z = fl(z_);  s = fl(s_);
above fl= (1 - z) - s;
below fl= s - z;

{ z in [0, 1] /\ exact_s in [0, 0.5] /\ s in [0, 0.5] /\ s - exact_s in [-S, S]
  -> above - ((1 - z) - exact_s) in [-ABOVE, ABOVE] /\ below - (exact_s - z) in [-BELOW, BELOW] }
