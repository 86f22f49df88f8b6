package push

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// rosterV1 begins an encoded roster.
const rosterV1 = 1

// The bits of the first byte of a customer in a roster.
const rosterOptedOut = 1

// The bits of the first byte of a token in a roster, beside the codes of its kind (bits 0
// and 1) and of its platform (bits 4 and 5).
const (
	rosterImported = 4
	rosterReported = 8 // a value of Notifications follows
)

// ForRoster returns the part of c that a roster has: what decides whether and where a
// mailing is sent. It has the valid tokens only, without what their phones reported. It has the
// time at which a token was seen only if this decides which token was added last: else each
// start of an app would be a change.
func (c *Customer) ForRoster() *Customer {
	out := &Customer{ID: c.ID, OptedOut: c.OptedOut, TimeZone: c.TimeZone}
	if len(c.Segments) > 0 {
		out.Segments = c.Segments
	}
	if len(c.Categories) > 0 {
		out.Categories = c.Categories
	}
	for _, t := range c.Tokens {
		if t.Valid() {
			out.Tokens = append(out.Tokens, Token{
				ID: t.ID, Value: t.Value, Kind: t.Kind, Platform: t.Platform, App: t.App, Notifications: t.Notifications,
				AddedAt: t.AddedAt.UTC(), SeenAt: t.SeenAt.UTC(), Imported: t.Imported,
			})
		}
	}
	if !out.hasTokensAddedTogether() {
		for i := range out.Tokens {
			out.Tokens[i].SeenAt = time.Time{}
		}
	}
	return out
}

// hasTokensAddedTogether reports whether two tokens were added at the same time.
func (c *Customer) hasTokensAddedTogether() bool {
	for i, t := range c.Tokens {
		for _, earlier := range c.Tokens[:i] {
			if t.AddedAt.Equal(earlier.AddedAt) {
				return true
			}
		}
	}
	return false
}

// SameInRoster reports whether two versions of a customer are the same for a roster.
func (c *Customer) SameInRoster(other *Customer) bool {
	return bytes.Equal(EncodeRoster([]*Customer{c}), EncodeRoster([]*Customer{other}))
}

// EncodeRoster encodes what ForRoster returns of customers. A version byte comes first, then a
// table of the texts that repeat (apps, segments, categories, time zones), then the
// customers. Times have microseconds, as in Firestore.
func EncodeRoster(customers []*Customer) []byte {
	w := rosterWriter{numbers: map[string]uint64{}}
	for _, c := range customers {
		w.addCustomer(c.ForRoster())
	}

	out := binary.AppendUvarint([]byte{rosterV1}, uint64(len(w.table)))
	for _, text := range w.table {
		out = appendText(out, text)
	}
	out = binary.AppendUvarint(out, uint64(len(customers)))
	return append(out, w.out...)
}

// A rosterWriter encodes customers, and collects the texts that repeat.
type rosterWriter struct {
	out     []byte
	table   []string
	numbers map[string]uint64 // of the texts in table
}

func (w *rosterWriter) addNumber(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

// addShared adds a text by its number in the table.
func (w *rosterWriter) addShared(text string) {
	n, known := w.numbers[text]
	if !known {
		n = uint64(len(w.table))
		w.table, w.numbers[text] = append(w.table, text), n
	}
	w.addNumber(n)
}

// addTime adds a time in microseconds; 0 is the zero time.
func (w *rosterWriter) addTime(t time.Time) {
	if t.IsZero() {
		w.out = binary.AppendVarint(w.out, 0)
		return
	}
	w.out = binary.AppendVarint(w.out, t.UnixMicro())
}

func (w *rosterWriter) addCustomer(c *Customer) {
	head := byte(0)
	if c.OptedOut {
		head |= rosterOptedOut
	}
	w.out = append(w.out, head)
	w.out = appendText(w.out, c.ID)
	w.addShared(c.TimeZone)

	w.addNumber(uint64(len(c.Segments)))
	for _, name := range c.Segments {
		w.addShared(name)
	}

	// In order, so that the same customers have the same bytes.
	w.addNumber(uint64(len(c.Categories)))
	for _, name := range slices.Sorted(maps.Keys(c.Categories)) {
		w.addShared(name)
		w.addNumber(map[bool]uint64{true: 1}[c.Categories[name]])
	}

	w.addNumber(uint64(len(c.Tokens)))
	for i := range c.Tokens {
		w.addToken(&c.Tokens[i])
	}
}

func (w *rosterWriter) addToken(t *Token) {
	head := codeOf(kindCodes, t.Kind) | codeOf(platformCodes, t.Platform)<<4
	if t.Imported {
		head |= rosterImported
	}
	if t.Notifications != "" {
		head |= rosterReported
	}
	w.out = append(w.out, head)
	w.out = appendText(w.out, t.Value)
	w.addShared(t.App)
	if t.Notifications != "" {
		w.addShared(string(t.Notifications))
	}
	w.addTime(t.AddedAt)
	w.addTime(t.SeenAt)
}

// appendText appends a text with its length before it.
func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

var errRoster = errors.New("the roster is damaged")

// DecodeRoster decodes customers that EncodeRoster has encoded. Its errors say that the bytes
// are damaged or of another version.
func DecodeRoster(b []byte) ([]*Customer, error) {
	if len(b) == 0 || b[0] != rosterV1 {
		return nil, fmt.Errorf("%w: unknown version", errRoster)
	}

	// All texts of the result are parts of this one string: a copy of each would cost
	// several times as much as the rest.
	r := rosterReader{left: string(b[1:])}
	for range r.readCount() {
		r.table = append(r.table, r.readText())
	}

	customers := make([]*Customer, 0, r.readCount())
	for range cap(customers) {
		customers = append(customers, r.readCustomer())
		if r.damaged {
			break
		}
	}

	if r.damaged || r.left != "" {
		return nil, fmt.Errorf("%w: bytes are missing or left over, or a number is out of range", errRoster)
	}

	return customers, nil
}

// A rosterReader reads an encoded roster. After a read beyond the end it is damaged, and
// further reads return nothing: so errors are checked once for each customer.
type rosterReader struct {
	left    string
	table   []string
	damaged bool
}

// fail makes the reader damaged.
func (r *rosterReader) fail() { r.damaged, r.left = true, "" }

func (r *rosterReader) readByte() byte {
	if r.left == "" {
		r.fail()
		return 0
	}
	b := r.left[0]
	r.left = r.left[1:]
	return b
}

func (r *rosterReader) readNumber() (n uint64) {
	for shift := uint(0); shift < 64; shift += 7 {
		b := r.readByte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.fail()
	return 0
}

// readCount reads the number of things that follow. Each has at least a byte, so a greater
// number than bytes is damage.
func (r *rosterReader) readCount() int {
	n := r.readNumber()
	if n > uint64(len(r.left)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *rosterReader) readText() string {
	n := r.readCount()
	text := r.left[:n]
	r.left = r.left[n:]
	return text
}

func (r *rosterReader) readShared() string {
	n := r.readNumber()
	if n >= uint64(len(r.table)) {
		r.fail()
		return ""
	}
	return r.table[n]
}

func (r *rosterReader) readTime() time.Time {
	n := r.readNumber()
	micro := int64(n>>1) ^ -int64(n&1) // zigzag, as binary.AppendVarint writes it
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}

func (r *rosterReader) readCustomer() *Customer {
	c := &Customer{OptedOut: r.readByte()&rosterOptedOut != 0, ID: r.readText(), TimeZone: r.readShared()}
	for range r.readCount() {
		c.Segments = append(c.Segments, r.readShared())
	}

	for range r.readCount() {
		if c.Categories == nil {
			c.Categories = map[string]bool{}
		}
		name := r.readShared()
		c.Categories[name] = r.readNumber() == 1
	}

	if n := r.readCount(); n > 0 && !r.damaged {
		c.Tokens = make([]Token, 0, min(n, MaxTokens))
		for range n {
			c.Tokens = append(c.Tokens, r.readToken())
		}
	}
	return c
}

func (r *rosterReader) readToken() (t Token) {
	head := r.readByte()
	kind, platform := int(head&3), int(head>>4)
	if kind >= len(kindCodes) || platform >= len(platformCodes) {
		r.fail()
		return t
	}

	t.Kind, t.Platform, t.Imported = kindCodes[kind], platformCodes[platform], head&rosterImported != 0
	t.Value, t.App = r.readText(), r.readShared()
	if head&rosterReported != 0 {
		t.Notifications = Notifications(r.readShared())
	}
	t.AddedAt, t.SeenAt = r.readTime(), r.readTime()
	t.ID = TokenID(t.Value)
	return t
}
