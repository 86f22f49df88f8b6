package push

import "slices"

// UnknownPlatform is how sums name the tokens that were registered without a platform.
const UnknownPlatform = "unknown"

// platformNames are the platforms as sums name them.
var platformNames = []string{string(Android), string(IOS), string(Web), UnknownPlatform}

// PlatformNames lists the platforms as sums name them, UnknownPlatform last.
func PlatformNames() []string { return slices.Clone(platformNames) }

// NameInSums returns the platform as sums name it. Every platform has one of PlatformNames, so
// that the sums of all platforms are those of the whole.
func (p Platform) NameInSums() string {
	if !slices.Contains(platformNames, string(p)) {
		return UnknownPlatform
	}
	return string(p)
}
