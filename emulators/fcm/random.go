package fcm

// mixBits scrambles 64 bits with the finalizer of SplitMix64. It is a cheap source of
// chance that is repeatable: the same seed and subject always give the same number.
func mixBits(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashString returns FNV-1a of s, started from a seed. Pass the result to mixBits before
// a draw.
func hashString(seed uint64, s string) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// unitFraction turns 64 mixed bits into a number in [0, 1).
func unitFraction(x uint64) float64 { return float64(x>>11) / (1 << 53) }
