package webchannel

import (
	"testing"
)

// FuzzForward: a body is refused, or it has as many messages as it says, each with a number
// of its own, in order.
func FuzzForward(f *testing.F) {
	f.Add("count=0")
	f.Add("headers=a%3Ab%0D%0Ac%3Ad&count=2&ofs=7&req0___data__=%7B%7D&req1___data__=%7B%7D")
	f.Add("count=1&ofs=9007199254740992&req2147483647___data__=")
	f.Add("count=2&req1___data__=a&req01___data__=b")
	f.Add("count=1&req0_type=_badmap")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := decodeForward(body)
		if err != nil {
			return
		}
		if len(got.messages) > maxMessages {
			t.Errorf("%q has %d messages, want at most %d", body, len(got.messages), maxMessages)
		}
		last := int64(-1)
		for _, m := range got.messages {
			if m.number <= last {
				t.Errorf("%q has message %d after %d, want growing numbers", body, m.number, last)
			}
			last = m.number
		}
	})
}
