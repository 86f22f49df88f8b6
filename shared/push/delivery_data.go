package push

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AndroidApps are the Android apps whose delivery data is fetched from FCM, as FCM's Data
// API names them: projects/{project}/androidApps/{app id}.
type AndroidApps []string

// androidApp is the name of an app: the id of its project and its Firebase app id.
var androidApp = regexp.MustCompile(`^projects/([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]/androidApps/[0-9]+:[0-9]+:android:[0-9a-f]+$`)

// UnmarshalText reads the setting DELIVERY_DATA_APPS: names with commas between them. An
// empty text is nil. The error names every fault.
func (a *AndroidApps) UnmarshalText(text []byte) error {
	var apps AndroidApps
	var faults []string
	for name := range strings.SplitSeq(string(text), ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case !androidApp.MatchString(name):
			faults = append(faults, fmt.Sprintf("%q must have the form projects/PROJECT/androidApps/1:123:android:abc", Truncate(name, 100)))
		case slices.Contains(apps, name):
			faults = append(faults, name+" is given twice")
		default:
			apps = append(apps, name)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("DELIVERY_DATA_APPS: %s", strings.Join(faults, "; "))
	}
	*a = apps
	return nil
}

// DeliveryData is what FCM reports of the messages to one Android app on one day, with
// one analytics label.
type DeliveryData struct {
	App   string // projects/{project}/androidApps/{app id}
	Day   string // see DayLayout
	Label string // "": messages without a label
	DeliveryCounts
}

// DeliveryCounts counts messages to Android phones whose owners share usage data with
// Google; FCM counts no others. A message may be in none of the last three counts.
type DeliveryCounts struct {
	Accepted  int64 `json:"accepted" doc:"messages that FCM accepted for such phones"`
	Delivered int64 `json:"delivered" doc:"FCM reports them as delivered to the phone"`
	Pending   int64 `json:"pending" doc:"FCM still held them at the end of the day"`
	Dropped   int64 `json:"dropped" doc:"FCM dropped them: the phone was inactive, the app was stopped, too many were pending, or the lifetime ended"`
}

// Add adds the counts of d.
func (c *DeliveryCounts) Add(d DeliveryCounts) {
	c.Accepted += d.Accepted
	c.Delivered += d.Delivered
	c.Pending += d.Pending
	c.Dropped += d.Dropped
}

// DeliveryReport is what FCM reports of all messages with one label.
type DeliveryReport struct {
	Label  string `json:"label" doc:"the analytics label of the mailing's messages"`
	Shared bool   `json:"shared" doc:"other mailings of the day have the same label, because FCM counts at most 100 labels a day"`
	DeliveryCounts
	AsOf time.Time `json:"asOf" doc:"when it was fetched from FCM; FCM reports a day up to some days later"`
}
