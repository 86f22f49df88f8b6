package fcm

import "iter"

// A queue has the jobs that are ready to be sent. Mailings take turns, one job each,
// so that a small mailing waits for one job of each large one. Jobs with priority go
// first, but not all the time.
type queue struct {
	priority mailingQueue
	mailings map[string]*mailingQueue // those that have jobs
	turn     *mailingQueue            // the mailing whose turn it is; the others follow in a ring
	length   int
	inARow   int // jobs with priority, one after the other
}

// maxInARow is how many jobs with priority go one after the other while other jobs
// wait.
const maxInARow = 9

// A mailingQueue is the jobs of one mailing, first come first served.
type mailingQueue struct {
	mailing    string
	head, tail *job
	prev, next *mailingQueue // in the ring
}

func newQueue() queue { return queue{mailings: map[string]*mailingQueue{}} }

// pushBack adds j after the other jobs of its mailing.
func (q *queue) pushBack(j *job) {
	q.mailingQueueOf(j).insertAfter(j, q.mailingQueueOf(j).tail)
	q.length++
}

// pushFront adds j before the other jobs of its mailing.
func (q *queue) pushFront(j *job) { q.mailingQueueOf(j).insertAfter(j, nil); q.length++ }

// mailingQueueOf is where j belongs; a mailing that had none waits for its turn.
func (q *queue) mailingQueueOf(j *job) *mailingQueue {
	if j.hasPriority() {
		return &q.priority
	}

	l := q.mailings[j.mailing]
	if l != nil {
		return l
	}

	l = &mailingQueue{mailing: j.mailing}
	q.mailings[j.mailing] = l
	if q.turn == nil {
		l.prev, l.next, q.turn = l, l, l
		return l
	}

	l.prev, l.next = q.turn.prev, q.turn
	l.prev.next, l.next.prev = l, l
	return l
}

// peek returns the job whose turn it is, nil if there is none.
func (q *queue) peek() *job {
	if q.priority.head != nil && (q.turn == nil || q.inARow < maxInARow) {
		return q.priority.head
	}
	if q.turn == nil {
		return nil
	}
	return q.turn.head
}

// takeTurn removes j, whose turn it was.
func (q *queue) takeTurn(j *job) {
	q.inARow++
	if l := j.queuedIn; l != &q.priority {
		q.inARow = 0
		if l == q.turn {
			q.turn = l.next
		}
	}
	q.removeJob(j)
}

// removeJob removes j from any place.
func (q *queue) removeJob(j *job) {
	l := j.queuedIn
	l.unlinkJob(j)
	q.length--
	if l.head != nil || l == &q.priority {
		return
	}

	delete(q.mailings, l.mailing)
	l.prev.next, l.next.prev = l.next, l.prev
	if q.turn == l {
		q.turn = l.next
	}
	if q.turn == l {
		q.turn = nil
	}
}

// allJobs yields the jobs in any order. The yielded job may be removed.
func (q *queue) allJobs() iter.Seq[*job] {
	return func(yield func(*job) bool) {
		if !q.priority.eachJob(yield) {
			return
		}
		for _, l := range q.mailings {
			if !l.eachJob(yield) {
				return
			}
		}
	}
}

func (l *mailingQueue) eachJob(yield func(*job) bool) bool {
	for j := l.head; j != nil; {
		next := j.next
		if !yield(j) {
			return false
		}
		j = next
	}
	return true
}

// insertAfter adds j after another job, or at the front if that is nil.
func (l *mailingQueue) insertAfter(j, after *job) {
	j.queuedIn, j.prev, j.next = l, after, l.head
	if after != nil {
		j.next = after.next
		after.next = j
	} else {
		l.head = j
	}
	if j.next != nil {
		j.next.prev = j
	} else {
		l.tail = j
	}
}

func (l *mailingQueue) unlinkJob(j *job) {
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
	j.queuedIn, j.prev, j.next = nil, nil, nil
}
