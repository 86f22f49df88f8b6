package push

import "time"

// DayLayout is the time layout of a day in UTC.
const DayLayout = time.DateOnly

// DayStats says how many customers push could reach on a day.
type DayStats struct {
	Day       string             `json:"day" doc:"the day in UTC, as 2026-11-26"`
	CountedAt time.Time          `json:"countedAt"`
	Customers int64              `json:"customers" doc:"number of stored customers"`
	Reachable int64              `json:"reachable" doc:"number of customers with a valid token"`
	OptedOut  int64              `json:"optedOut" doc:"number of customers who want no pushes"`
	Platforms map[Platform]int64 `json:"platforms" doc:"number of customers with a valid token of the platform; one customer may count for several"`
	FCM       *DeliveryCounts    `json:"fcm,omitempty" doc:"what FCM reports of the messages of this day; only with DELIVERY_DATA_APPS, and only of Android phones whose owners share usage data"`
}

// ValidPlatforms returns the platforms of the customer's valid tokens, each once, in the
// order Android, IOS, Web.
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
