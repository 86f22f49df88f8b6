package personal

import (
	"encoding/json"
	"sync"

	"carillon.example/shared/push"
)

// maxCached is how many templates a Cache keeps. A template has a few kilobytes. A full
// cache is emptied.
const maxCached = 500

// A Cache compiles each template of messages to one customer only once, even if the same
// text is sent to a million customers by a request for each. The zero value is empty. A
// Cache is safe for concurrent use.
type Cache struct {
	mu       sync.Mutex // guards compiled
	compiled map[string]func() (*Template, push.Faults)
}

// CompileMessage is like the function CompileMessage. Callers with the same content wait
// for one compilation. It does not run under the lock, so other callers do not wait.
func (c *Cache) CompileMessage(message json.RawMessage, link string) (*Template, push.Faults) {
	content := string(message) + "\x00" + link

	c.mu.Lock()
	f := c.compiled[content]
	if f == nil {
		if c.compiled == nil || len(c.compiled) >= maxCached {
			c.compiled = map[string]func() (*Template, push.Faults){}
		}
		f = sync.OnceValues(func() (*Template, push.Faults) { return CompileMessage(message, link) })
		c.compiled[content] = f
	}
	c.mu.Unlock()

	return f()
}
