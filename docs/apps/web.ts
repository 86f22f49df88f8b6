// The page of a web app: registers this browser's push token with Carillon's function
// devices, unregisters it before a sign-out, and reports what a person opened.
import type { FirebaseApp } from 'firebase/app'
import { getAuth, onAuthStateChanged, signOut } from 'firebase/auth'
import { deleteToken, getMessaging, getToken, onMessage, type MessagePayload } from 'firebase/messaging'

const DEVICES = 'https://carillon-devices.example' // terraform output devices_url
const APP = 'shop-web' // the name of the app in Carillon
const STORED = 'carillon-device'

type Device = { id: string, token: string }

export function startPush(firebase: FirebaseApp, vapidKey: string, show: (m: MessagePayload) => void) {
  const auth = getAuth(firebase), messaging = getMessaging(firebase)

  // Sends a request as the customer who is signed in. A request may be repeated.
  async function call(method: string, path: string, body?: object): Promise<Response> {
    const idToken = await auth.currentUser!.getIdToken()
    return fetch(DEVICES + path, {
      method,
      headers: { authorization: `Bearer ${idToken}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
      keepalive: true, // goes on if the page is closed
    })
  }

  // Call it at each start of the app: FCM may have changed the token, and Carillon notes
  // that the browser is in use.
  async function register() {
    if (!auth.currentUser || Notification.permission !== 'granted') return
    const token = await getToken(messaging, { vapidKey })
    const answer = await call('POST', '/v1/devices', {
      token, platform: 'web', app: APP, notifications: 'on',
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    })
    if (!answer.ok) throw new Error(`devices answered ${answer.status}`)
    const { id } = await answer.json() as { id: string }
    localStorage.setItem(STORED, JSON.stringify({ id, token } satisfies Device))
  }

  // Call it when a person taps a button: browsers refuse the question otherwise.
  async function ask() {
    if (await Notification.requestPermission() === 'granted') await register()
  }

  // Unregisters first: afterwards there is no ID token of this customer any more.
  async function leave() {
    const device = JSON.parse(localStorage.getItem(STORED) ?? 'null') as Device | null
    if (device) await call('DELETE', `/v1/devices/${device.id}`)
    localStorage.removeItem(STORED)
    await deleteToken(messaging)
    await signOut(auth)
  }

  // The service worker opens the page with the id of the mailing.
  async function reportOpening() {
    const device = JSON.parse(localStorage.getItem(STORED) ?? 'null') as Device | null
    const here = new URL(location.href), mailing = here.searchParams.get('mailing_id')
    if (!device || !mailing) return
    await call('POST', '/v1/devices/events', { events: [{ mailing, token: device.token, type: 'opened', at: new Date().toISOString() }] })
    here.searchParams.delete('mailing_id')
    history.replaceState(null, '', here)
  }

  onAuthStateChanged(auth, async (user) => {
    if (!user) return
    await register()
    await reportOpening()
  })
  onMessage(messaging, show) // while the page is open, the browser shows nothing by itself
  return { ask, leave }
}
