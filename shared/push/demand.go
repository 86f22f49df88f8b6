package push

import "time"

// A Demand is what one instance of deliver needs of the FCM quota of the project.
// Instances exchange their demands to share the quota.
type Demand struct {
	Rate  float64       // messages a second it could send now; 0: it is idle
	Known float64       // the part of Rate that all others had read when it was stored
	Ramp  float64       // progress from idle to the full share: 0 to 1
	Age   time.Duration // of a demand that was read: the time since it was stored
}

// DemandLife is how long a demand counts that is not stored again. After it the
// instance is considered to have ended.
const DemandLife = 17 * time.Second
