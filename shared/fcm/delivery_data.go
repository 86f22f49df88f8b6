package fcm

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/fcmdata/v1beta1"
	"google.golang.org/api/option"

	"carillon.example/shared/push"
)

// dataHost is the host of FCM's Data API, the only one that gets our credentials here.
const dataHost = "fcmdata.googleapis.com"

const (
	// dataPageSize is how many entries a request of the Data API asks for, its maximum.
	// An entry is a day, an app and a label; a day has at most 100 labels.
	dataPageSize = 10_000
	// maxDataPages limits the requests for an app, if the pages never end.
	maxDataPages = 10
)

// A DeliveryDataClient reads what FCM reports of messages to Android phones from FCM's
// Data API, v1beta1 (https://firebase.google.com/docs/reference/fcmdata/rest). FCM reports
// a day some days later, counts only phones whose owners share usage data, and leaves out
// what has too few messages.
type DeliveryDataClient struct {
	list     *fcmdata.ProjectsAndroidAppsDeliveryDataService
	apps     push.AndroidApps
	pageSize int64
}

// NewDeliveryDataClient returns a client for these apps. With an endpoint other than
// Google's, requests have no credentials.
func NewDeliveryDataClient(ctx context.Context, endpoint string, apps push.AndroidApps) (*DeliveryDataClient, error) {
	endpoint = strings.TrimSuffix(endpoint, "/")
	options := []option.ClientOption{option.WithEndpoint(endpoint + "/"), option.WithUserAgent("carillon")}
	if endpoint != "https://"+dataHost {
		options = append(options, option.WithHTTPClient(&http.Client{Timeout: 30 * time.Second}))
	}
	service, err := fcmdata.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("fcm: delivery data: %w", err)
	}
	return &DeliveryDataClient{list: service.Projects.AndroidApps.DeliveryData, apps: apps, pageSize: dataPageSize}, nil
}

// DeliveryData returns what FCM reports of all apps for the days from first on (see
// push.DayLayout).
func (c *DeliveryDataClient) DeliveryData(ctx context.Context, first string) ([]push.DeliveryData, error) {
	var all []push.DeliveryData
	for _, app := range c.apps {
		if err := c.readApp(ctx, app, first, &all); err != nil {
			return nil, fmt.Errorf("reading the delivery data of %s: %w", app, err)
		}
	}
	return all, nil
}

// readApp appends the data of one app to all.
func (c *DeliveryDataClient) readApp(ctx context.Context, app, first string, all *[]push.DeliveryData) error {
	pages := 0
	call := c.list.List(app).PageSize(c.pageSize)
	return call.Pages(ctx, func(page *fcmdata.GoogleFirebaseFcmDataV1beta1ListAndroidDeliveryDataResponse) error {
		if pages++; pages > maxDataPages {
			return fmt.Errorf("more than %d pages", maxDataPages)
		}
		for _, entry := range page.AndroidDeliveryData {
			d, ok := readEntry(app, entry)
			if ok && d.Day >= first {
				*all = append(*all, d)
			}
		}
		return nil
	})
}

// readEntry converts an entry. An entry without a day or without counts is left out.
func readEntry(app string, entry *fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData) (push.DeliveryData, bool) {
	if entry == nil || entry.Date == nil || entry.Data == nil {
		return push.DeliveryData{}, false
	}
	day := time.Date(int(entry.Date.Year), time.Month(entry.Date.Month), int(entry.Date.Day), 0, 0, 0, 0, time.UTC).Format(push.DayLayout)
	d := push.DeliveryData{App: app, Day: day, Label: entry.AnalyticsLabel}
	d.Accepted = max(entry.Data.CountMessagesAccepted, 0)
	if o := entry.Data.MessageOutcomePercents; o != nil {
		d.Delivered = countOf(d.Accepted, o.Delivered)
		d.Pending = countOf(d.Accepted, o.Pending)
		d.Dropped = countOf(d.Accepted, o.DroppedAppForceStopped+o.DroppedDeviceInactive+o.DroppedTooManyPendingMessages+o.DroppedTtlExpired)
	}
	return d, true
}

// countOf returns how many messages a percentage of all is. The API gives percentages
// only.
func countOf(all int64, percent float64) int64 {
	share := min(max(percent, 0), 100) / 100
	return int64(math.Round(float64(all) * share))
}
