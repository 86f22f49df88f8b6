package fcm

import "fmt"

// Every is the key of Settings.Outages for all sends.
const Every = "*"

// forcedOutcome returns the outcome that the settings force on a message before
// any rule applies: an outage, a project to which the phones do not belong, or an
// installation that FCM does not know by this address. "" means that there is none. bad
// is the fault of the payload; an outcome about a token needs a payload without a fault.
func (c *sendCall) forcedOutcome(bad *answer) string {
	m, p := c.message, c.policy
	if name := c.outageOutcome(); name != "" && (!aboutToken[name] || bad == nil && m.toDevice()) {
		return name
	}
	if bad != nil || !m.toDevice() {
		return ""
	}

	if p.PhonesProject != "" && p.PhonesProject != c.project {
		if m.target == "fid" {
			return "UNREGISTERED"
		}
		return "SENDER_ID_MISMATCH"
	}
	if !c.server.knowsAddress(p, m) {
		return "UNREGISTERED"
	}
	return ""
}

// outageOutcome returns the outcome that Settings.Outages have for the message, "" for
// none. An outage of its platform goes before one of its kind of target, and that before
// one of everything.
func (c *sendCall) outageOutcome() string {
	all := c.policy.Outages
	if len(all) == 0 {
		return ""
	}

	if c.message.toDevice() {
		if name := all[c.server.phones.describeToken(c.message.address()).Platform]; name != "" {
			return name
		}
	}
	if name := all[c.message.target]; name != "" {
		return name
	}
	return all[Every]
}

// outageKeys are the keys that Settings.Outages may have.
var outageKeys = []string{Every, Android, IOS, Web, "token", "fid", "topic", "condition"}

// checkAll returns one error with every fault of a list. Each fault names its index in
// the list. doing says what was being done.
func checkAll[T interface{ check() faults }](doing string, all []T) error {
	var wrong faults
	for i, one := range all {
		for _, f := range one.check() {
			wrong = append(wrong, fault{fmt.Sprintf("[%d].%s", i, f.Location), f.Message})
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s: %w", doing, wrong)
	}
	return nil
}
