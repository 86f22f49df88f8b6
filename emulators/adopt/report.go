package adopt

import (
	"fmt"
	"io"
	"time"

	"carillon.example/shared/push"
)

// print prints what becomes of the tokens.
func (p *plan) print(out io.Writer, customers []adoptedCustomer) {
	tokens, platforms := 0, map[push.Platform]int{}
	for _, c := range customers {
		tokens += len(c.tokens)
		for _, e := range c.tokens {
			platforms[e.platform]++
		}
	}

	fmt.Fprintf(out, "%d entries read\n", p.read)
	fmt.Fprintf(out, "%d tokens of %d customers to import", tokens, len(customers))
	for _, platform := range []push.Platform{push.Android, push.IOS, push.Web, ""} {
		if n := platforms[platform]; n > 0 && platform == "" {
			fmt.Fprintf(out, ", %d without a platform", n)
		} else if n > 0 {
			fmt.Fprintf(out, ", %d %s", n, platform)
		}
	}
	fmt.Fprintln(out)
	for _, why := range reasons {
		if p.leftOut[why] == 0 {
			continue
		}
		fmt.Fprintf(out, "%d %s\n", p.leftOut[why], why)
		for _, e := range p.examples[why] {
			fmt.Fprintf(out, "    %s: customer %q, token %s\n", e.place, push.Truncate(e.customer, 60), shortToken(e.token))
		}
	}
}

// shortToken returns the beginning of a token: whoever has a whole one may send to its phone
// with the right credentials, and reports are passed on.
func shortToken(token string) string {
	if len(token) <= shownTokenSize {
		return fmt.Sprintf("%q", token)
	}
	return fmt.Sprintf("%q (%d bytes)", push.Truncate(token, shownTokenSize), len(token))
}

// printExpired prints how many tokens expire as soon as they are imported: the source says
// that their phones were not seen for life.
func printExpired(out io.Writer, customers []adoptedCustomer, now time.Time, life time.Duration) {
	var expired []*entry
	for _, c := range customers {
		for _, e := range c.tokens {
			if day := push.ExpiryDay(e.platform, e.seenAt, life); !e.seenAt.IsZero() && day != "" && day <= push.DayOf(now) {
				expired = append(expired, e)
			}
		}
	}
	if len(expired) == 0 {
		return
	}

	fmt.Fprintf(out, "%d of the tokens to import are of Android and were not seen for %d days: Carillon flags them as EXPIRED without asking FCM, and a second import does not take that back\n", len(expired), int(life.Hours()/24))
	for _, e := range expired[:min(len(expired), shownExamples)] {
		fmt.Fprintf(out, "    %s: customer %q, last seen on %s\n", e.place, push.Truncate(e.customer, 60), push.DayOf(e.seenAt))
	}
}
