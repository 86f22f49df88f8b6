package push

import "time"

// A Demand is what one instance of deliver wants of the project's FCM quota.
// Instances tell it each other, so that they share the quota.
type Demand struct {
	Rate  float64       // messages a second it could send now; 0: it is idle
	Known float64       // so much of Rate all others had read when it was stored
	Ramp  float64       // how far it has grown from idle to its full share: 0 to 1
	Age   time.Duration // with a demand that was read: since when it is stored
}

// DemandLife is how long a demand counts that is not stored anew: then its
// instance is taken to have ended.
const DemandLife = 17 * time.Second
