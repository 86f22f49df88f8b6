package push

// A WakeMessage asks tick to look at one mailing before its next round.
type WakeMessage struct {
	Mailing string `json:"mailing"`
}

// A Lane is a way from dispatch to deliver: a topic and its subscription. Each
// lane has its own queue and its own instances, so that batches of one lane do
// not wait behind those of the other.
type Lane string

// The lanes.
const (
	LaneLarge Lane = "large" // batches of mailings that are sent as fast as the quota allows
	LaneSmall Lane = "small" // batches of mailings of one page, and of mailings with a low rate
)
