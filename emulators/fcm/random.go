package fcm

// mix scrambles 64 bits (the finaliser of SplitMix64): a cheap source of
// repeatable chance, drawn from a seed and what it is about.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashString is FNV-1a over s, started from a seed; mix its result before
// drawing from it.
func hashString(seed uint64, s string) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// fraction makes a number in [0, 1) of 64 mixed bits.
func fraction(x uint64) float64 { return float64(x>>11) / (1 << 53) }
