package push

import "time"

// DayLayout is how a day (of UTC) is written.
const DayLayout = time.DateOnly

// DayStats says how many customers push could reach on a day.
type DayStats struct {
	Day       string             `json:"day" doc:"of UTC, as 2026-11-26"`
	CountedAt time.Time          `json:"countedAt"`
	Customers int64              `json:"customers" doc:"who are stored"`
	Reachable int64              `json:"reachable" doc:"who have a valid token"`
	OptedOut  int64              `json:"optedOut" doc:"who want no pushes"`
	Platforms map[Platform]int64 `json:"platforms" doc:"who have a valid token of the platform; one customer may count for several"`
	FCM       *DeliveryCounts    `json:"fcm,omitempty" doc:"where it is set up (DELIVERY_DATA_APPS): what FCM reports of the messages of the day to Android phones whose owners share usage data"`
}

// ValidPlatforms lists the platforms of the valid tokens, sorted, each once.
func (c *Customer) ValidPlatforms() []Platform {
	out := []Platform{}
	for _, p := range []Platform{Android, IOS, Web} {
		for _, t := range c.Tokens {
			if t.Valid() && t.Platform == p {
				out = append(out, p)
				break
			}
		}
	}
	return out
}
