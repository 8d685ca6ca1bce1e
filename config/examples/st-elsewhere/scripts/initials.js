// The screens hang where visitors pass: of given names they show the initial only.
export default function (msg) {
  for (const pid of msg.segments("PID")) {
    const given = pid.get("5.2");
    if (given !== null) pid.set("5.2", `${given[0]}.`);
    pid.set("5.3", null);
  }
}
