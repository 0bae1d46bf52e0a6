# thm-sigmoid-loss: relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), where nothing underflows, on both sides of 0.
# By hand: the linear term of the other side is exactly 0, and the computed log1p(e^-|x|) is within LOG of the exact one.
@fl = float<FORMAT, ne>;
a = fl(a_);  z = fl(z_);  log = fl(log_);  # a is |x|
right fl= a * (1 - z) + log;
left fl= a * z + log;

{ a in [1b-30, FAR] /\ z in [1b-60, LAST] /\ exact_log in [TINY, 0.7] /\ log -/ exact_log in [-LOG, LOG]
  -> right -/ (a * (1 - z) + exact_log) in [-BOUND, BOUND] /\ left -/ (a * z + exact_log) in [-BOUND, BOUND] }
