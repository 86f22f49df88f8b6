package store

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"carillon.example/shared/push"
)

type place struct {
	created time.Time
	id      string
}

// pageToken returns the token of the page after m in a list of mailings.
func pageToken(m *push.Mailing) string { return tokenOf(place{m.CreatedAt, m.ID}) }

func tokenOf(p place) string {
	s := strconv.FormatInt(p.created.UnixMicro(), 36) + " " + p.id
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

func pageTime(token string) (place, error) {
	bad := push.Faults{{Location: "query.pageToken", Message: "must be a token that this list has returned"}}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return place{}, bad
	}
	at, id, _ := strings.Cut(string(b), " ")
	micros, err := strconv.ParseInt(at, 36, 64)
	if err != nil || !validID(id) {
		return place{}, bad
	}
	return place{time.UnixMicro(micros).UTC(), id}, nil
}
