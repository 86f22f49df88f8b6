package fcm

import "fmt"

// Every is the key of Settings.Outages that concerns all sends.
const Every = "*"

// circumstance is what the settings make of a message, before any rule: an
// outage, a project that the phones do not belong to, or an installation FCM
// does not know by this address. "": nothing. What speaks of a token needs a
// payload that FCM has nothing against.
func (c *sendCall) circumstance(bad *answer) string {
	m, p := c.message, c.policy
	if name := c.outage(); name != "" && (!aboutToken[name] || bad == nil && m.toDevice()) {
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
	if !c.server.reachable(p, m) {
		return "UNREGISTERED"
	}
	return ""
}

// outage is the outcome that Settings.Outages have for the message: of its
// platform, else of its kind of target, else of everything.
func (c *sendCall) outage() string {
	all := c.policy.Outages
	if len(all) == 0 {
		return ""
	}
	if c.message.toDevice() {
		if name := all[c.server.phones.of(c.message.address()).Platform]; name != "" {
			return name
		}
	}
	if name := all[c.message.target]; name != "" {
		return name
	}
	return all[Every]
}

// outageKeys are what Settings.Outages may name.
var outageKeys = []string{Every, Android, IOS, Web, "token", "fid", "topic", "condition"}

// checkAll names every fault of a list, each with its place.
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
