package loadtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"carillon.example/emulators/fcm"
)

// occasionalErrors is the value of a flag: errors with which FCM answers a share of all
// sends. Its text is NAME=SHARE or NAME=SHARE/RETRY_AFTER, separated by commas.
type occasionalErrors []fcm.Outcome

func (s *occasionalErrors) String() string {
	parts := make([]string, len(*s))
	for i, o := range *s {
		parts[i] = fmt.Sprintf("%s=%g", o.Outcome, o.Share)
		if o.RetryAfter > 0 {
			parts[i] += "/" + o.RetryAfter.String()
		}
	}
	return strings.Join(parts, ",")
}

// Set adds the errors of a flag's text.
func (s *occasionalErrors) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		name, rest, ok := strings.Cut(part, "=")
		share, after, timed := strings.Cut(rest, "/")
		o := fcm.Outcome{Token: "*", Outcome: name}
		var err error
		if o.Share, err = strconv.ParseFloat(share, 64); err != nil || !ok || o.Share <= 0 || o.Share > 1 {
			return fmt.Errorf("%q is not NAME=SHARE or NAME=SHARE/RETRY_AFTER, like QUOTA_PROJECT=0.01/1s", part)
		}
		if timed {
			if o.RetryAfter, err = time.ParseDuration(after); err != nil {
				return fmt.Errorf("%q: Retry-After is not a duration like 1s", part)
			}
		}
		*s = append(*s, o)
	}

	return nil
}
