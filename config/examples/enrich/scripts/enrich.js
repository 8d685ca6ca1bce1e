// The admission goes on, with the address that the index has; without a match as it was.
export default function (reply, ctx) {
  const admission = ctx.original;
  if (reply.get("QAK-2") === "OK") {
    for (const part of ["1", "3", "5"]) {
      admission.set(`PID-11[1].${part}`, reply.get(`PID-11[1].${part}`));
    }
  } else {
    ctx.flag("no-match", "PID-3");
  }
  return admission;
}
