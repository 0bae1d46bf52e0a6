# eq-depth: NumPy's sum of TERMS non-negative numbers, each of which passes through at most so many additions.
# A number may be 0 or subnormal: a sum never underflows. The tree of additions is written in from the one that is tested.
@fl = float<FORMAT, ne>;
DECLARED
sum fl= TREE;

{ RANGES -> sum -/ (TREE) in [-BOUND, BOUND] }
