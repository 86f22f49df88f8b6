package fcm

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep JSON may nest; FCM refuses about the same.
const maxDepth = 64

// syntaxError says where a text stopped being JSON.
type syntaxError struct{ at int }

func (e *syntaxError) Error() string { return "not JSON at byte " + strconv.Itoa(e.at) }

// scanner walks over one JSON text once. Values without escapes are parts of
// the text, not copies. After fail, every method is a no-op that ends loops.
type scanner struct {
	text  string
	pos   int
	depth int
	err   *syntaxError
}

func (s *scanner) fail() {
	if s.err == nil {
		s.err = &syntaxError{at: s.pos}
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// ended reports whether only white space is left.
func (s *scanner) ended() bool { return s.peek() == 0 && s.pos == len(s.text) }

// expect takes one byte, which must be c.
func (s *scanner) expect(c byte) bool {
	if s.err == nil && s.peek() == c {
		s.pos++
		return true
	}
	s.fail()
	return false
}

// enter takes an opening bracket; more then walks the members.
func (s *scanner) enter(open byte) bool {
	if s.depth++; s.depth > maxDepth {
		s.fail()
	}
	return s.expect(open)
}

// more reports whether another member follows, and takes the comma before it
// or the bracket that closes. first is true for the first call after enter.
func (s *scanner) more(first bool, closing byte) bool {
	if s.err != nil {
		return false
	}
	if s.peek() == closing {
		s.pos++
		s.depth--
		return false
	}
	return first || s.expect(',') && s.peek() != closing || s.trailing()
}

func (s *scanner) trailing() bool {
	s.fail()
	return false
}

// key takes a member's name and its colon.
func (s *scanner) key() string {
	k := s.str()
	s.expect(':')
	return k
}

// str takes a string.
func (s *scanner) str() string {
	if !s.expect('"') {
		return ""
	}
	start := s.pos
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1]
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			s.fail()
			return ""
		}
		s.pos++
	}

	s.fail()
	return ""
}

// escaped goes on with a string in which a backslash was met.
func (s *scanner) escaped(start int) string {
	var b strings.Builder
	b.WriteString(s.text[start:s.pos])
	for s.err == nil && s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return b.String()
		case c == '\\':
			s.escape(&b)
		case c < ' ':
			s.fail()
		default:
			b.WriteByte(c)
			s.pos++
		}
	}

	s.fail()
	return ""
}

// plainEscapes are the escapes of one letter.
var plainEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

func (s *scanner) escape(b *strings.Builder) {
	if s.pos+1 >= len(s.text) {
		s.fail()
		return
	}

	c := s.text[s.pos+1]
	if c == 'u' {
		s.unicode(b)
		return
	}
	if plainEscapes[c] == 0 {
		s.fail()
		return
	}

	b.WriteByte(plainEscapes[c])
	s.pos += 2
}

// unicode takes \uXXXX and, where it is the first half of a pair, the second;
// half a pair alone becomes the replacement character, as in encoding/json.
func (s *scanner) unicode(b *strings.Builder) {
	r, ok := s.hex(s.pos)
	if !ok {
		s.fail()
		return
	}

	s.pos += 6
	if utf16.IsSurrogate(r) {
		low, ok := s.hex(s.pos)
		if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
			s.pos += 6
			b.WriteRune(pair)
			return
		}
		r = utf8.RuneError
	}

	b.WriteRune(r)
}

func (s *scanner) hex(at int) (rune, bool) {
	if at+6 > len(s.text) || s.text[at] != '\\' || s.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[at+2:at+6], 16, 32)
	return rune(n), err == nil
}

// skip takes any value and returns its size without white space between its
// parts: what the value weighs in a payload.
func (s *scanner) skip() int {
	switch s.peek() {
	case '{':
		return s.skipMembers('{', '}')
	case '[':
		return s.skipMembers('[', ']')
	case '"':
		start := s.pos
		s.str()
		return s.pos - start
	}
	return len(s.scalar())
}

func (s *scanner) skipMembers(open, closing byte) int {
	size := 2
	if !s.enter(open) {
		return size
	}

	for first := true; s.more(first, closing); first = false {
		if !first {
			size++
		}
		if open == '{' {
			s.peek()
			start := s.pos
			s.str()
			size += s.pos - start + 1
			s.expect(':')
		}
		size += s.skip()
	}

	return size
}
