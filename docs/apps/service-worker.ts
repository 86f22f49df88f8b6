// The service worker of a web app (firebase-messaging-sw.js): opens the link of a message,
// with the id of the mailing, which the page reports.
import { initializeApp } from 'firebase/app'
import { getMessaging } from 'firebase/messaging/sw'

declare const self: ServiceWorkerGlobalScope
declare const firebaseConfig: Record<string, string>

// In front of getMessaging, whose own listener would open the link without the id.
self.addEventListener('notificationclick', (event) => {
  const data = event.notification.data?.FCM_MSG?.data as Record<string, string> | undefined
  if (!data?.mailing_id) return
  event.stopImmediatePropagation()
  event.notification.close()

  const page = new URL(data.link ?? '/', self.location.origin)
  if (page.origin === self.location.origin) page.searchParams.set('mailing_id', data.mailing_id)
  event.waitUntil(self.clients.openWindow(page))
})

getMessaging(initializeApp(firebaseConfig))
