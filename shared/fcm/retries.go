package fcm

import "container/heap"

// retries has the jobs that are to be tried again, ordered by time.
type retries []*job

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, j int) bool { return r[i].retryAt.Before(r[j].retryAt) }
func (r retries) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].retryIndex, r[j].retryIndex = i, j
}

// Push and Pop are for container/heap.
func (r *retries) Push(x any) {
	j := x.(*job)
	j.retryIndex = len(*r)
	*r = append(*r, j)
}

// Pop removes the last job.
func (r *retries) Pop() any {
	old := *r
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*r, j.retryIndex = old[:len(old)-1], -1
	return j
}

func (r *retries) addJob(j *job)    { heap.Push(r, j) }
func (r *retries) removeJob(j *job) { heap.Remove(r, j.retryIndex) }
