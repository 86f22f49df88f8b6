package fcm

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep JSON may nest. The limit of FCM is about the same.
const maxDepth = 64

// A syntaxError has the byte at which a text is not JSON any more.
type syntaxError struct{ at int }

func (e *syntaxError) Error() string { return "not JSON at byte " + strconv.Itoa(e.at) }

// A scanner reads one JSON text in one pass. Values without escapes are parts of the
// text, not copies. After fail every method does nothing and ends the loops of its
// callers.
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

// atEnd reports whether only white space is left.
func (s *scanner) atEnd() bool { return s.peek() == 0 && s.pos == len(s.text) }

// expect consumes one byte, which must be c.
func (s *scanner) expect(c byte) bool {
	if s.err == nil && s.peek() == c {
		s.pos++
		return true
	}
	s.fail()
	return false
}

// enter consumes an opening bracket. nextMember then goes through the members.
func (s *scanner) enter(open byte) bool {
	if s.depth++; s.depth > maxDepth {
		s.fail()
	}
	return s.expect(open)
}

// nextMember reports whether another member follows. It consumes the comma before that
// member, or the closing bracket. first is true for the first call after enter.
func (s *scanner) nextMember(first bool, closing byte) bool {
	if s.err != nil {
		return false
	}
	if s.peek() == closing {
		s.pos++
		s.depth--
		return false
	}
	return first || s.expect(',') && s.peek() != closing || s.rejectTrailing()
}

// rejectTrailing fails because of a comma without a member after it. It returns false.
func (s *scanner) rejectTrailing() bool {
	s.fail()
	return false
}

// takeKey consumes the name of a member and its colon.
func (s *scanner) takeKey() string {
	k := s.takeString()
	s.expect(':')
	return k
}

// takeString consumes a string.
func (s *scanner) takeString() string {
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
			return s.takeEscaped(start)
		case c < ' ':
			s.fail()
			return ""
		}
		s.pos++
	}

	s.fail()
	return ""
}

// takeEscaped consumes the rest of a string from its first backslash on. start is the
// position of the string.
func (s *scanner) takeEscaped(start int) string {
	var b strings.Builder
	b.WriteString(s.text[start:s.pos])
	for s.err == nil && s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return b.String()
		case c == '\\':
			s.takeEscape(&b)
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

// plainEscapes has the escapes of one letter.
var plainEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

func (s *scanner) takeEscape(b *strings.Builder) {
	if s.pos+1 >= len(s.text) {
		s.fail()
		return
	}

	c := s.text[s.pos+1]
	if c == 'u' {
		s.takeUnicode(b)
		return
	}
	if plainEscapes[c] == 0 {
		s.fail()
		return
	}

	b.WriteByte(plainEscapes[c])
	s.pos += 2
}

// takeUnicode consumes \uXXXX, and the second one of a surrogate pair. A single
// surrogate becomes the replacement character, as in encoding/json.
func (s *scanner) takeUnicode(b *strings.Builder) {
	r, ok := s.parseHex(s.pos)
	if !ok {
		s.fail()
		return
	}

	s.pos += 6
	if utf16.IsSurrogate(r) {
		low, ok := s.parseHex(s.pos)
		if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
			s.pos += 6
			b.WriteRune(pair)
			return
		}
		r = utf8.RuneError
	}

	b.WriteRune(r)
}

func (s *scanner) parseHex(at int) (rune, bool) {
	if at+6 > len(s.text) || s.text[at] != '\\' || s.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[at+2:at+6], 16, 32)
	return rune(n), err == nil
}

// skipValue consumes any value and returns its size in bytes without white space between
// its parts, which is its size in a payload.
func (s *scanner) skipValue() int {
	switch s.peek() {
	case '{':
		return s.skipMembers('{', '}')
	case '[':
		return s.skipMembers('[', ']')
	case '"':
		start := s.pos
		s.takeString()
		return s.pos - start
	}
	return len(s.takeScalar())
}

func (s *scanner) skipMembers(open, closing byte) int {
	size := 2
	if !s.enter(open) {
		return size
	}

	for first := true; s.nextMember(first, closing); first = false {
		if !first {
			size++
		}
		if open == '{' {
			s.peek()
			start := s.pos
			s.takeString()
			size += s.pos - start + 1
			s.expect(':')
		}
		size += s.skipValue()
	}

	return size
}
