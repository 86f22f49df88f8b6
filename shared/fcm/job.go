package fcm

import (
	"container/heap"
	"context"
	"time"
)

// A job is an item on its way to its answer.
type job struct {
	Item
	ctx      context.Context
	answered func(Answer)
	limit    time.Time // no attempt begins after it; zero: no end
	topic    bool      // the target is a topic: a proof
	once     bool      // answered Waiting rather than tried again

	attempts     int
	moved        int  // how often it was sent elsewhere because it had not been processed
	sent         bool // see Answer.Sent
	reauthorized bool // it was refused once for our credentials
	last         Answer

	crowd      *crowd
	prev, next *job      // in the line
	queued     bool      // it is in the line
	due        time.Time // in the heap of those that wait
	index      int       // in that heap, -1: it is not there
}

// over reports whether an attempt may not begin any more at that time.
func (j *job) over(at time.Time) bool { return !j.limit.IsZero() && at.After(j.limit) }

// A line is the jobs that are ready to be sent, first come first served.
type line struct {
	head, tail *job
	n          int
}

func (l *line) push(j *job) {
	j.queued, j.prev, j.next = true, l.tail, nil
	if l.tail == nil {
		l.head = j
	} else {
		l.tail.next = j
	}
	l.tail = j
	l.n++
}

func (l *line) pushFront(j *job) {
	j.queued, j.prev, j.next = true, nil, l.head
	if l.head == nil {
		l.tail = j
	} else {
		l.head.prev = j
	}
	l.head = j
	l.n++
}

func (l *line) remove(j *job) {
	if j.prev == nil {
		l.head = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		l.tail = j.prev
	} else {
		j.next.prev = j.prev
	}
	j.queued, j.prev, j.next = false, nil, nil
	l.n--
}

// waiters are the jobs that are to be tried again, by the time that is due.
type waiters []*job

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push and Pop are for container/heap.
func (w *waiters) Push(x any) {
	j := x.(*job)
	j.index = len(*w)
	*w = append(*w, j)
}

// Pop removes the last one.
func (w *waiters) Pop() any {
	old := *w
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*w, j.index = old[:len(old)-1], -1
	return j
}

func (w *waiters) add(j *job)    { heap.Push(w, j) }
func (w *waiters) remove(j *job) { heap.Remove(w, j.index) }

// A crowd is the jobs whose contexts end together: one watch for all of them.
type crowd struct {
	done <-chan struct{}
	jobs map[*job]*worker // nil: not under way
	stop func() bool
}

// join puts j into the crowd of its context.
func (s *Sender) join(j *job) {
	done := j.ctx.Done()
	c := s.crowds[done]
	if c == nil {
		c = &crowd{done: done, jobs: map[*job]*worker{}}
		c.stop = context.AfterFunc(j.ctx, func() { s.disperse(c) })
		s.crowds[done] = c
	}
	c.jobs[j] = nil
	j.crowd = c
}

// leave takes j out of everything: it is about to be answered.
func (s *Sender) leave(j *job) {
	if j.queued {
		s.line.remove(j)
	}
	if j.index >= 0 {
		s.waiters.remove(j)
	}
	c := j.crowd
	delete(c.jobs, j)
	if len(c.jobs) == 0 && s.crowds[c.done] == c {
		c.stop()
		delete(s.crowds, c.done)
	}
}

// disperse answers a crowd whose contexts have ended. What is under way gets a
// moment to come to its end: to break it off would leave open whether the
// device gets the message.
func (s *Sender) disperse(c *crowd) {
	s.mu.Lock()
	now := time.Now()
	var out answers
	for j, w := range c.jobs {
		if w != nil {
			w.hurry(now.Add(s.cfg.Grace))
			continue
		}
		out.add(s.giveUp(j, now, now, "its time ended"))
	}
	s.mu.Unlock()
	out.call()
}
