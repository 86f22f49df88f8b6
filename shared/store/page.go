package store

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"carillon.example/shared/push"
)

// listPosition is the position of a mailing or message in a list that is ordered by
// time and id.
type listPosition struct {
	created time.Time
	id      string
}

// pageTokenAfter returns the token of the page after m in a list of mailings.
func pageTokenAfter(m *push.Mailing) string { return encodePageToken(listPosition{m.CreatedAt, m.ID}) }

// encodePageToken returns the token of the page after a position.
func encodePageToken(p listPosition) string {
	s := strconv.FormatInt(p.created.UnixMicro(), 36) + " " + p.id
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

// decodePageToken returns the position in a page token, or push.Faults for a token that
// no list has returned.
func decodePageToken(token string) (listPosition, error) {
	bad := push.Faults{{Location: "query.pageToken", Message: "must be a token that this list has returned"}}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return listPosition{}, bad
	}
	at, id, _ := strings.Cut(string(b), " ")
	micros, err := strconv.ParseInt(at, 36, 64)
	if err != nil || !validID(id) {
		return listPosition{}, bad
	}
	return listPosition{time.UnixMicro(micros).UTC(), id}, nil
}
